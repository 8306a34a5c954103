"""The generic webhook, read by the reference library."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook as Reader
from standardwebhooks import WebhookVerificationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.test_cli import taximeter
from builders import alert, outgoing
from taximeter_alerts.channels import ChannelGone, DeliveryError, Webhook
from taximeter_api.demo.fake_openai import serving
from taximeter_api.demo.processes import free_port

SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclass
class Receiver:
    url: str = ""
    statuses: list[int] = field(default_factory=list)
    messages: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    async def take(self, request: Request) -> Response:
        self.messages.append((dict(request.headers), await request.body()))
        return Response(status_code=self.statuses.pop(0) if self.statuses else 204)

    def read(self, number: int = -1, secret: str = SECRET) -> dict[str, Any]:
        headers, body = self.messages[number]
        told: dict[str, Any] = Reader(secret).verify(body, headers)
        return told


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    started = Receiver()
    with serving(Starlette(routes=[Route("/hook", started.take, methods=["POST"])])) as url:
        started.url = f"{url}/hook"
        yield started


def test_a_message_is_signed_and_says_everything(receiver: Receiver) -> None:
    one = alert(75, also_passed=(50,), top_features=(("search", Decimal("5.5")),))
    Webhook(url=receiver.url, secret=SECRET).send(outgoing(one))

    told = receiver.read()
    assert told["type"] == "budget.threshold"
    data = told["data"]
    assert (data["percent"], data["also_passed"], data["limit"]) == (75, [50], "10")
    assert data["top_features"] == [{"feature": "search", "cost": "5.5"}]
    assert data["period"] == {
        "from": "2026-11-01T00:00:00+00:00",
        "to": "2026-12-01T00:00:00+00:00",
        "zone": "UTC",
    }
    with pytest.raises(WebhookVerificationError):
        receiver.read(secret="whsec_" + "A" * 32)


def test_the_same_alert_has_the_same_id_and_another_has_another(receiver: Receiver) -> None:
    webhook = Webhook(url=receiver.url, secret=SECRET)
    receiver.statuses = [500]
    with pytest.raises(DeliveryError, match="the webhook answered 500"):
        webhook.send(outgoing(alert(50)))
    webhook.send(outgoing(alert(50)))
    webhook.send(outgoing(alert(75)))

    first, again, other = (headers["webhook-id"] for headers, _ in receiver.messages)
    assert first == again != other


def test_a_digest_is_signed_and_has_one_id(receiver: Receiver) -> None:
    webhook = Webhook(url=receiver.url, secret=SECRET)
    webhook.send(outgoing(alert(50), alert(75)))
    webhook.send(outgoing(alert(50), alert(75)))

    told = receiver.read(0)
    assert told["type"] == "budget.alerts"
    assert [one["percent"] for one in told["data"]["alerts"]] == [50, 75]
    assert len({headers["webhook-id"] for headers, _ in receiver.messages}) == 1


def test_a_webhook_that_is_gone_is_told(receiver: Receiver) -> None:
    receiver.statuses = [410]
    with pytest.raises(ChannelGone, match="refuses this address: 410"):
        Webhook(url=receiver.url, secret=SECRET).send(outgoing(alert()))


@pytest.mark.parametrize(
    "secret", ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_QQ==", "whsec_?"]
)
def test_a_secret_that_is_none_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match="give whsec_ and 24 to 64 random bytes"):
        Webhook(url="http://127.0.0.1:9", secret=secret)


def test_a_channel_is_tried_out(receiver: Receiver) -> None:
    settings = {"WEBHOOK_URL": receiver.url, "WEBHOOK_SECRET": SECRET}
    # Where no service answers, which would send it instead.
    settings["PORT"] = str(free_port())
    # It takes the test, then what takes that back.
    receiver.statuses = [204, 204, 404]

    took = taximeter("alerts", "test", "webhook", **settings)
    refused = taximeter("alerts", "test", "webhook", **settings)
    unknown = taximeter("alerts", "test", "slack", **settings)

    assert (took.returncode, took.stdout) == (0, "webhook took it\n")
    assert (refused.returncode, refused.stderr) == (1, "not delivered: the webhook answered 404\n")
    assert "slack is not set up; give one of webhook" in unknown.stderr
    assert json.loads(receiver.messages[0][1])["data"]["budget"] == "Test of Taximeter, not real"
    ids = {headers["webhook-id"] for headers, _ in receiver.messages}
    assert len(ids) == 3


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"WEBHOOK_URL": "http://h/"}, "WEBHOOK_SECRET is not set"),
        (
            {"WEBHOOK_URL": "http://h/", "WEBHOOK_SECRET": "x"},
            "WEBHOOK_SECRET=(secret): give whsec_",
        ),
        ({"WEBHOOK_URL": "h"}, "WEBHOOK_URL=(secret)"),
    ],
)
def test_a_service_without_a_good_secret_does_not_start(
    tmp_path: Path, settings: dict[str, str], told: str
) -> None:
    refused = taximeter("serve", DATA_DIR=str(tmp_path / "d"), PORT="0", OTLP_PORT="0", **settings)

    assert refused.returncode == 2
    assert told in refused.stderr
