"""Links and codes of mails, for signatures that a test makes by itself, and the addresses in the mail queue."""

from petition import identity, links
from petition.mail import keys
from petition.mail.keys import Keyring, Opened
from petition.models import Link, OutgoingMail, Petition, Signature
from petition.models.link import token_digest


def _made(signature: Signature) -> links.NewLink:
    made = links.make(signature.created_at)
    Link.objects.create(
        token_digest=token_digest(made.token),
        code_digest=links.code_digest(made.code),
        kind=Link.Kind.SIGN,
        petition=signature.petition,
        signature=signature,
        created_at=signature.created_at,
        **getattr(signature, "typed", {}),
    )
    return made


def token(signature: Signature) -> str:
    """The token of a new link to this signature, as if its mail had been sent when it was signed."""
    return _made(signature).token


def code(signature: Signature) -> str:
    """The same for the code."""
    return links.spaced(_made(signature).code)


def withdraw_token(petition: Petition, email: str) -> str:
    made = links.make()
    Link.objects.create(
        token_digest=token_digest(made.token),
        kind=Link.Kind.WITHDRAW,
        petition=petition,
        email_digest=identity.email_digest(email),
    )
    return made.token


def owe_mail(petition: Petition, address: str = "anna@example.org", **values: object) -> OutgoingMail:
    """A mail in the queue, to a signer unless `values` say otherwise, who has not signed anything."""
    half, made = keys.newest(), links.make()
    given = {
        "petition": petition,
        "kind": OutgoingMail.Kind.SIGN,
        "recipient": half.seal(Opened(address, made.token, made.code)),
        "key_id": half.key,
        "language": "en",
    }
    return OutgoingMail.objects.create(**given | values)


def recipient(mail: OutgoingMail) -> str:
    """The address in the sealed box of a mail."""
    assert mail.key_id
    return Keyring().open(mail.key_id, bytes(mail.recipient)).address
