import pytest

from tests.faults.put_back import FAULTS, ROOT, Fault


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_what_is_put_back_has_its_place_in_the_code(fault: Fault) -> None:
    assert (ROOT / fault.file).read_text().count(fault.text) == 1
