from hypothesis import given
from hypothesis import strategies as st

from lfr_edge.audit.crc32c import _BYTE, _table, crc32c


def _byte_by_byte(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _BYTE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


@given(st.binary(max_size=80))
def test_a_word_at_a_time_is_byte_by_byte(data: bytes) -> None:
    assert crc32c(data) == _byte_by_byte(data)


def test_published_vectors() -> None:
    # RFC 3720, B.4
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(b"\x00" * 32) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E
    assert crc32c(b"") == 0


@given(st.binary(min_size=1, max_size=64), st.data())
def test_finds_any_single_bit(data: bytes, draw: st.DataObject) -> None:
    bit = draw.draw(st.integers(0, len(data) * 8 - 1))
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    assert crc32c(bytes(changed)) != crc32c(data)


def test_the_table_is_made_from_the_polynomial() -> None:
    assert len(_BYTE) == 256
    assert (_BYTE[0], _BYTE[1], _BYTE[128], _BYTE[255]) == (0, 0xF26B8303, 0x82F63B78, 0xAD7D5351)
    assert _table() == _BYTE
