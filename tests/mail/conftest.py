import pytest

from petition import signing


@pytest.fixture
def sign(petition):
    """Have these addresses sign, each of which is then owed a mail."""

    def sign(*addresses, language="en"):
        for address in addresses:
            signing.sign(petition.slug, signing.Answers(email=address), language=language, network="192.0.2.1")

    return sign
