"""The licence gate."""

from __future__ import annotations

import pytest

from lfr_edge.errors import ModelError
from lfr_edge.models.licence import require_permission


@pytest.mark.parametrize("reference", [None, "LIC-1"])
def test_a_licence_that_forbids_is_never_overruled(store, make_pack, reference):
    pack = store.install(*make_pack(use="no"))
    with pytest.raises(ModelError, match="eye is under Test") as caught:
        require_permission(pack, "operational", reference)
    assert caught.value.code == "model_licence_forbids"


@pytest.mark.parametrize("reference", [None, "", "  "])
def test_a_reference_is_needed_where_the_licence_says_so(store, make_pack, reference):
    pack = store.install(*make_pack(use="with_reference"))
    with pytest.raises(ModelError) as caught:
        require_permission(pack, "operational", reference)
    assert caught.value.code == "model_licence_reference_missing"
    assert "models.licence_reference" in caught.value.hint


def test_a_reference_is_recorded(store, make_pack):
    pack = store.install(*make_pack(use="with_reference"))
    permission = require_permission(pack, "operational", " LIC-1 ")
    assert permission.licence_reference == "LIC-1"
    assert permission.notices == (
        "eye (Test-1.0): used under LIC-1",
        "mind (Test-1.0): used under LIC-1",
    )


def test_a_permissive_licence_needs_nothing(store, make_pack):
    assert require_permission(store.install(*make_pack(use="yes")), "operational").notices == ()


@pytest.mark.parametrize(("use", "notices"), [("yes", 0), ("with_reference", 2), ("no", 2)])
def test_evaluation_is_open_and_says_so(store, make_pack, use, notices):
    permission = require_permission(store.install(*make_pack(use=use)), "evaluation")
    assert len(permission.notices) == notices
    assert all("not for operational use" in notice for notice in permission.notices)


def test_one_forbidding_network_forbids_the_pack(store, make_pack):
    manifest, contents = make_pack(use="yes")
    eye, mind = manifest.networks
    mind = mind.model_copy(update={"licence": mind.licence.model_copy(update={"operational_use": "no"})})
    pack = store.install(manifest.model_copy(update={"networks": (eye, mind)}), contents)
    with pytest.raises(ModelError, match="mind"):
        require_permission(pack, "operational", "LIC-1")
