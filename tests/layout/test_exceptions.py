import pytest

from tests.layout.exceptions import LAYERS, ROOT, classes, classes_of, drawn, outside, tree


@pytest.mark.parametrize("layer", LAYERS)
def test_every_exception_of_a_layer_derives_from_its_root(layer: str) -> None:
    assert outside(layer, classes_of(layer)) == []


@pytest.mark.parametrize("layer", LAYERS)
def test_the_tree_at_the_top_of_the_file_is_what_the_layer_has(layer: str) -> None:
    source = (ROOT / layer / "errors.py").read_text()
    assert source == drawn(layer, source), "`make docs` draws it again"


def test_an_exception_without_the_root_is_named_and_a_subclass_is_under_its_parent() -> None:
    found = [
        *classes("storage/a.py", "class StorageError(Exception): ...\nclass A(StorageError): ..."),
        *classes(
            "storage/b.py", "class B(A): ...\nclass C(Exception): ...\nclass _D(Exception): ..."
        ),
    ]
    assert outside("storage", found) == [
        "storage/b.py: C must derive from StorageError (storage/errors.py)"
    ]
    assert tree("storage", found).splitlines() == [
        "StorageError",
        f"{'└── A':32} storage/a.py",
        f"{'    └── B':32} storage/b.py",
    ]
