"""E-mail over SMTP: HTML and plain text."""

from __future__ import annotations

import asyncio
import html
from collections.abc import Collection, Sequence
from email.message import EmailMessage
from email.utils import localtime, make_msgid
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import aiosmtplib
from pydantic import Field

from taximeter_alerts.alert import Alert, Outgoing
from taximeter_alerts.channels.channel import (
    ChannelGone,
    DeliveryError,
    Port,
    Sender,
    Words,
    checked,
)
from taximeter_alerts.course_image import course_image
from taximeter_alerts.message import Message, message_of
from taximeter_alerts.voice import HTML, PLAIN
from taximeter_collector.accepted import said

Address = Annotated[
    str,
    Field(pattern=r"^[^\r\n]*[^@\s]@[^@\s]+>?$"),
    said("give an address like ada@example.com or Ada <ada@example.com>"),
]

TIMEOUT_S: Final = 20
LONGEST_SUBJECT: Final = 200
DOMAIN: Final = "taximeter"
IMAGE: Final = f"course@{DOMAIN}"


class Email(Sender):
    """A message that comes twice has the same Message-ID, and says that it may be a repeat."""

    @checked
    def __init__(
        self,
        *,
        host: Words,
        sender: Address,
        to: Annotated[list[Address], Field(min_length=1)],
        port: Port = 587,
        user: str = "",
        password: str = "",
        tls: Literal["starttls", "tls", "none"] = "starttls",
        templates: Path | None = None,
    ) -> None:
        self._to = to
        self._sender = sender
        self._templates = templates
        self._server: dict[str, Any] = {
            "hostname": host,
            "port": port,
            "username": user or None,
            "password": password or None,
            "use_tls": tls == "tls",
            "start_tls": tls == "starttls",
            "timeout": TIMEOUT_S,
        }

    def send(self, outgoing: Outgoing) -> None:
        self._deliver(self._email(outgoing))

    def send_letter(
        self, to: Sequence[str], subject: str, *, plain: str, html: str
    ) -> Collection[str]:
        """Send once and return the addresses that were refused; raise as `send` does."""
        email = self._headed(subject, to, make_msgid(domain=DOMAIN))
        email.set_content(plain)
        email.add_alternative(html, subtype="html")
        return self._deliver(email)

    def _deliver(self, email: EmailMessage) -> Collection[str]:
        """Return the addresses that were refused while others were not."""
        try:
            refused, _ = asyncio.run(aiosmtplib.send(email, **self._server))
        except (aiosmtplib.SMTPResponseException, aiosmtplib.SMTPRecipientsRefused) as error:
            raise _refused(error) from error
        except aiosmtplib.SMTPConnectError as error:
            raise DeliveryError(
                f"the mail server is out of reach: {type(error).__name__}"
            ) from error
        except (aiosmtplib.SMTPException, OSError) as error:
            reason = f"the mail server did not answer: {type(error).__name__}"
            raise DeliveryError(reason, maybe_sent=True) from error
        return refused.keys()

    def _email(self, outgoing: Outgoing) -> EmailMessage:
        plain = message_of(outgoing, PLAIN, self._templates)
        email = self._headed(plain.title, self._to, f"<{outgoing.id}@{DOMAIN}>")
        email.set_content(plain_text(plain))
        image = _image(outgoing)
        html_message = message_of(outgoing, HTML, self._templates)
        email.add_alternative(html_text(html_message, with_image=bool(image)), subtype="html")
        if image:
            _, part = email.iter_parts()
            assert isinstance(part, EmailMessage)  # noqa: S101 for the type checker
            part.add_related(image.encode(), "image", "svg+xml", cid=f"<{IMAGE}>")
        return email

    def _headed(self, subject: str, to: Sequence[str], id_: str) -> EmailMessage:
        email = EmailMessage()
        email["Subject"] = subject[:LONGEST_SUBJECT]
        email["From"] = self._sender
        email["To"] = ", ".join(to)
        email["Date"] = localtime()
        email["Message-ID"] = id_
        email["Auto-Submitted"] = "auto-generated"
        return email


def plain_text(message: Message) -> str:
    facts = [f"{label}: {value}" for label, value in message.facts]
    links = [f"{label}: {url}" for label, url in message.links]
    parts = (
        message.summary,
        "\n".join(facts),
        *message.paragraphs,
        "\n".join(links),
        message.footer,
    )
    return "\n\n".join(part for part in parts if part) + "\n"


def html_text(message: Message, *, with_image: bool = False) -> str:
    facts = "".join(
        f'<tr><td style="color:#666;padding:2px 16px 2px 0">{label}</td><td>{value}</td></tr>'
        for label, value in message.facts
    )
    links = " &nbsp; ".join(
        f'<a href="{html.escape(url)}">{html.escape(label)}</a>' for label, url in message.links
    )
    texts = "".join(f"<p>{_lines(text)}</p>" for text in message.paragraphs)
    image = f'<p><img src="cid:{IMAGE}" alt="Spend against the budget"></p>' if with_image else ""
    return (
        '<!doctype html><html><body style="font-family:sans-serif;font-size:14px;color:#222">'
        f"<h2>{html.escape(message.title)}</h2><p>{_lines(message.summary)}</p>"
        f"{image}<table>{facts}</table>{texts}<p>{links}</p>"
        f'<p style="color:#666;font-size:12px">{message.footer}</p></body></html>'
    )


def _image(outgoing: Outgoing) -> str:
    (first, *others) = outgoing.told
    return course_image(first) if isinstance(first, Alert) and not others else ""


def _lines(text: str) -> str:
    return text.replace("\n", "<br>")


def _refused(
    error: aiosmtplib.SMTPResponseException | aiosmtplib.SMTPRecipientsRefused,
) -> ChannelGone | DeliveryError:
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        codes = [one.code for one in error.recipients]
    else:
        codes = [error.code]
    told = ", ".join(map(str, codes))
    if min(codes) < 500:
        return DeliveryError(f"the mail server answered {told}")
    what = "us" if isinstance(error, aiosmtplib.SMTPAuthenticationError) else "the message"
    return ChannelGone(f"the mail server refuses {what}: {told}")
