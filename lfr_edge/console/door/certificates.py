"""The force's own certificate authority, for consoles that no public authority can know.

The authority lies on a medium that leaves the box. It may sign for the names given at its birth and for nothing
else (RFC 5280 name constraints, critical), so that a lost medium cannot speak for any other site. What it issues
lives for weeks; renewing is one command.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lfr_edge.audit.disk import FILE_MODE, write_new
from lfr_edge.errors import AccessError
from lfr_edge.sentences import say

AUTHORITY_DAYS: Final = 5 * 366
LONGEST_DAYS: Final = 90
_PUBLIC_MODE: Final = 0o644  # a certificate is for everybody
_BACKDATED: Final = timedelta(minutes=10)  # a van's clock may be behind
_LABEL: Final = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_DNS: Final = re.compile(rf"{_LABEL}(\.{_LABEL})*")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Key = ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Authority:
    """**Lifetime:** the key stays in this object; drop it when the certificates are written."""

    certificate: x509.Certificate
    key: Key


@dataclass(frozen=True, slots=True)
class Names:
    """What a certificate is for."""

    dns: tuple[str, ...] = ()
    addresses: tuple[Address, ...] = ()
    client: str = ""  # a laptop's name: then it identifies a client and no server


def permitted(certificate: x509.Certificate) -> tuple[tuple[str, ...], tuple[Network, ...]]:
    """DNS domains and networks that an authority may sign for. Raises AccessError ``tls_unreadable``."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        raise AccessError(
            "tls_unreadable", "this authority is bound to no names", hint="lfr-edge tls init"
        ) from None
    subtrees = found.permitted_subtrees or ()
    domains = tuple(item.value for item in subtrees if isinstance(item, x509.DNSName))
    networks = [item.value for item in subtrees if isinstance(item, x509.IPAddress)]
    return domains, tuple(
        net for net in networks if isinstance(net, ipaddress.IPv4Network | ipaddress.IPv6Network)
    )


def new_authority(title: str, names: Sequence[str], networks: Sequence[Network], now: datetime) -> Authority:
    """Raises AccessError ``tls_name_invalid``, also where nothing is named: an authority for everything is refused."""
    for name in names:
        _require_dns(name)
    if not names and not networks:
        raise AccessError(
            "tls_name_invalid",
            "an authority needs the names it may sign for",
            hint="give --dns lfr.example.police.uk, --network 192.168.8.0/24, or both",
        )
    key = ec.generate_private_key(ec.SECP256R1())
    subtrees: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
    subtrees += [x509.IPAddress(network) for network in networks]
    # Where one kind of name is permitted, the other kind is shut out by an empty range of its own.
    excluded: list[x509.GeneralName] = []
    if not names:
        excluded.append(x509.DNSName(""))
    if not networks:
        excluded += [x509.IPAddress(ipaddress.ip_network(every)) for every in ("0.0.0.0/0", "::/0")]
    subject = _subject(title)
    certificate = (
        _builder(subject, subject, key.public_key(), now, timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.NameConstraints(subtrees, excluded or None), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate, key)


def issue(authority: Authority, names: Names, days: int, now: datetime) -> tuple[x509.Certificate, Key]:
    """A certificate with a key of its own.

    Raises:
        AccessError: ``tls_name_invalid``, ``tls_name_not_permitted``, ``tls_days``, ``tls_authority_over``.
    """
    if not 1 <= days <= LONGEST_DAYS:
        raise AccessError(
            "tls_days",
            say("{days} days are not 1 to {longest_days}", days=days, longest_days=LONGEST_DAYS),
            hint="short lives are the point",
        )
    if authority.certificate.not_valid_after_utc < now + timedelta(days=days):
        raise AccessError(
            "tls_authority_over",
            "the authority ends before the certificate would",
            hint="make a new authority with: lfr-edge tls init",
        )
    _require_permitted(authority, names)
    key = ec.generate_private_key(ec.SECP256R1())
    alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names.dns]
    alternatives += [x509.IPAddress(address) for address in names.addresses]
    purpose = ExtendedKeyUsageOID.CLIENT_AUTH if names.client else ExtendedKeyUsageOID.SERVER_AUTH
    title = names.client or next(iter(names.dns), "") or str(names.addresses[0])
    builder = (
        _builder(_subject(title), authority.certificate.subject, key.public_key(), now, timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False
        )
    )
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return builder.sign(authority.key, hashes.SHA256()), key


def names_of(certificate: x509.Certificate) -> Names:
    """What :func:`issue` was asked for, so that a renewal asks the same."""
    purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    if ExtendedKeyUsageOID.CLIENT_AUTH in purposes:
        common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
        return Names(client=str(common))
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = found.get_values_for_type(x509.IPAddress)
    return Names(
        tuple(found.get_values_for_type(x509.DNSName)),
        tuple(one for one in addresses if isinstance(one, ipaddress.IPv4Address | ipaddress.IPv6Address)),
    )


def write_private(path: Path, key: Key, passphrase: bytes | None) -> None:
    """PEM, PKCS#8, readable by its owner alone. Raises OSError."""
    write_new(path, _pem(key, passphrase))


def write_certificate(path: Path, certificate: x509.Certificate) -> None:
    write_new(path, certificate.public_bytes(serialization.Encoding.PEM), _PUBLIC_MODE)


def as_files(authority: Authority, certificate: x509.Certificate, key: Key) -> dict[str, tuple[bytes, int]]:
    """What a console is given: name → (content, mode)."""
    pem = serialization.Encoding.PEM
    return {
        "key.pem": (_pem(key, None), FILE_MODE),
        "cert.pem": (certificate.public_bytes(pem), _PUBLIC_MODE),
        "ca.pem": (authority.certificate.public_bytes(pem), _PUBLIC_MODE),
    }


def _pem(key: Key, passphrase: bytes | None) -> bytes:
    protection: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        protection = serialization.BestAvailableEncryption(passphrase)
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)


def read_certificate(path: Path) -> x509.Certificate:
    """Raises AccessError ``tls_unreadable``."""
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise AccessError(
            "tls_unreadable",
            say("{path}: {error}", path=path, error=error),
            hint="a PEM certificate is needed",
        ) from None


def read_authority(folder: Path, passphrase: bytes | None) -> Authority:
    """``ca.pem`` and ``ca.key`` of a folder. Raises AccessError ``tls_unreadable``, ``tls_passphrase_wrong``."""
    certificate = read_certificate(folder / "ca.pem")
    try:
        key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), passphrase)
    except OSError as error:
        raise AccessError(
            "tls_unreadable", say("{folder}: {strerror}", folder=folder / "ca.key", strerror=error.strerror)
        ) from None
    except (ValueError, TypeError):
        raise AccessError(
            "tls_passphrase_wrong", "the authority's key does not open", hint="check the passphrase"
        ) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise AccessError(
            "tls_unreadable", say("{folder}: ca.key and ca.pem do not belong together", folder=folder)
        )
    return Authority(certificate, key)


def _require_permitted(authority: Authority, names: Names) -> None:
    if not (names.dns or names.addresses or names.client):
        raise AccessError("tls_name_invalid", "nothing is named", hint="give --dns, --ip or --client")
    domains, networks = permitted(authority.certificate)
    for name in names.dns:
        _require_dns(name)
        if not any(name == above or name.endswith("." + above) for above in domains):
            raise _not_permitted(name)
    for address in names.addresses:
        if not any(address in network for network in networks):
            raise _not_permitted(str(address))


def _require_dns(name: str) -> None:
    if not _DNS.fullmatch(name) or len(name) > 253:
        raise AccessError(
            "tls_name_invalid", say("{name!a} is not a host name", name=name), hint="lower case, no wildcard"
        )


def _not_permitted(name: str) -> AccessError:
    return AccessError(
        "tls_name_not_permitted",
        say("this authority may not sign for {name}", name=name),
        hint="its names were fixed at its birth; see them with: lfr-edge tls show",
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now.astimezone(UTC) - _BACKDATED)
        .not_valid_after(now.astimezone(UTC) + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _subject(title: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, title[:64])])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
