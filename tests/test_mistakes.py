"""docs/mistakes.md: the code of each section is executed and gives the message that the page shows."""

import pytest
from mistakes_page import mistakes, preparation


@pytest.mark.parametrize("mistake", mistakes(), ids=lambda mistake: mistake.title)
def test_messages_are_those_of_the_page(mistake):
    names = {}
    exec(preparation(), names)
    with pytest.raises(Exception) as error:
        exec(mistake.code, names)
    assert f"{error.type.__name__}: {' '.join(str(error.value).split())}" == mistake.message
