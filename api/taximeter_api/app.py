"""The one place where the service is built and joined."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fastapi import FastAPI

from taximeter_alerts import heartbeat as heartbeats
from taximeter_alerts import mirroring, own_alerts
from taximeter_alerts import outlook as outlooks
from taximeter_alerts.budgets import Budget, read_budgets
from taximeter_alerts.heartbeat import Heartbeat
from taximeter_alerts.mirroring import MeterState, Mirroring
from taximeter_alerts.outbox import Outbox
from taximeter_alerts.outlook import Outlook
from taximeter_alerts.own_alerts import OwnAlerts
from taximeter_alerts.register import Register
from taximeter_alerts.savings import Savings
from taximeter_alerts.schedule import Schedule
from taximeter_alerts.state import State
from taximeter_alerts.watch import Watch
from taximeter_api.alerting import alerts_api
from taximeter_api.answers import alerts_page, answers_page
from taximeter_api.backup import backup_api
from taximeter_api.budget_pages import budget_pages
from taximeter_api.budgeting import budgets_api
from taximeter_api.call_pages import call_pages
from taximeter_api.channels import channels_of_settings, notice_channels
from taximeter_api.checks.files import is_writable
from taximeter_api.checks.running import Running
from taximeter_api.clickhouse_http import clickhouse_http
from taximeter_api.explore import explore_pages
from taximeter_api.export import export_api
from taximeter_api.forgetting import forget_api
from taximeter_api.insight_pages import findings_pages, health_page
from taximeter_api.kept import Kept
from taximeter_api.live import Heads, script
from taximeter_api.reconciliation import reconciliation_api, reconciliation_page
from taximeter_api.refusals import refusals
from taximeter_api.repricing import Repricer, repricing_api
from taximeter_api.routes import health, metrics, page, spend_api
from taximeter_api.security import LOOPBACK_NAMES, Guard, token_check
from taximeter_api.snapshot import Snapshots
from taximeter_api.stops import Stops, stops_api
from taximeter_collector.intake import Intake, rejected
from taximeter_collector.journal import Journal
from taximeter_collector.live_file import LiveFile
from taximeter_collector.prices import book_with
from taximeter_collector.receiver import receiver
from taximeter_collector.settings import PREFIX, Settings, SettingsError
from taximeter_collector.store import Reader, Store
from taximeter_collector.writer import Writer

if TYPE_CHECKING:
    from taximeter_collector.receiver_grpc import GrpcReceiver

log = logging.getLogger(__name__)

CLEAR_EVERY_S = 3600
QUIET_S = 5
"""For how long an hour must not have changed before it is rolled up."""
SENDERS = 8
"""Channels that are sent to at once."""


class Service:
    """Everything that runs in one process: receiver, writer, budgets, page and API."""

    def __init__(self, settings: Settings) -> None:
        """Open what the service needs; raises what keeps it from starting."""
        self._settings = settings
        budgets: LiveFile[Sequence[Budget]] = LiveFile(settings.budgets, read_budgets)
        prices = LiveFile(settings.prices, book_with)
        make_data_folder(settings)
        self._grpc = _grpc_receiver(settings)
        self._state = State(settings.state_url)
        channels = channels_of_settings(settings, os.environ, self._state)
        noticed = notice_channels(settings, channels)
        self._sending = ThreadPoolExecutor(SENDERS, "sending")
        sending = Outbox(
            self._state,
            channels,
            lambda: datetime.now(UTC),
            page_url=settings.page_url,
            run=self._sending.submit,
        )
        self._store = Store(settings.store_url, settings.cluster)
        self._reader = None if settings.sql_token is None else Reader(settings.store_url)
        self._journal = Journal(settings.journal_dir, max_bytes=settings.journal_mb * 1_000_000)
        self._writer = Writer(
            self._journal, self._store, prices.current, settings.retention.how_late
        )
        self._repricer = Repricer(self._store, prices.current)
        register = Register(budgets, self._state)
        watch = Watch(self._store, self._state, register, prices.current)
        outlook = Outlook(self._store, self._state, register)
        savings = Savings(self._store, prices.current)
        kept = Kept()
        snapshots = Snapshots(
            kept,
            self._store,
            self._state,
            register.in_force,
            prices.current,
            lambda: savings.known,
        )
        self._schedule = Schedule()
        self._schedule.every(settings.tick_seconds, "budgets", watch.tick)
        self._schedule.every(
            outlooks.EVERY_S, "outlook", outlook.tick, largest_load=outlooks.LARGEST_LOAD
        )
        own = OwnAlerts(
            self._store,
            self._state,
            lambda: self._journal.oldest_s,
            noticed,
        )
        copying = Mirroring(
            self._store,
            self._state,
            register,
            savings,
            lambda: MeterState(self._journal.oldest_s, rejected()),
        )
        self._schedule.every(
            mirroring.EVERY_S, "mirror", copying.copy, largest_load=mirroring.LARGEST_LOAD
        )
        self._schedule.every(own_alerts.EVERY_S, "own alerts", own.look)
        self._schedule.every(
            settings.tick_seconds,
            "deliveries",
            lambda _now: sending.tick(),
        )
        self._schedule.every(settings.tick_seconds, "kept answers", kept.keep_fresh)
        self._schedule.every(
            settings.refresh_seconds, "rollups", lambda _now: self._store.refresh(quiet_s=QUIET_S)
        )
        if settings.heartbeat_url:
            heartbeat = Heartbeat(settings.heartbeat_url.get_secret_value(), self._trouble)
            self._schedule.every(heartbeats.EVERY_S, "heartbeat", heartbeat.beat)
        self._store.keep(settings.retention)
        self._schedule.every(
            CLEAR_EVERY_S,
            "old ids",
            lambda now: self._store.clear_old_ids(settings.retention, now),
        )
        running = Running(
            store=self._store,
            state=self._state,
            channels=channels,
            register=register,
            settings=settings,
            trouble=self._trouble,
        )
        may_send = token_check(settings.ingest_token)
        stops = Stops(self._store, register)
        self._schedule.every(settings.tick_seconds, "stops", stops.tick)
        self._intake = Intake(self._journal, settings.retention.how_late)
        self.app = self._application()
        for router in (
            health(self._trouble),
            metrics(self._journal),
            spend_api(self._store),
            forget_api(self._store, self._state, kept),
            budgets_api(self._store, register),
            alerts_api(self._state, channels, settings.page_url),
            alerts_page(self._state, channels, settings.page_url, running.wrong_with_alerts),
            answers_page(self._state, channels),
            explore_pages(self._store, kept),
            call_pages(self._store, kept),
            budget_pages(self._store, self._state, register, channels),
            findings_pages(savings),
            health_page(running, self._journal),
            export_api(self._store),
            backup_api(self._store, settings),
            reconciliation_api(self._store, settings),
            repricing_api(self._store, self._repricer),
            reconciliation_page(self._store),
            page(snapshots, otlp_url=settings.otlp_url),
            script(),
            stops_api(stops, may_send),
            receiver(self._intake, authorised=may_send, max_body_bytes=settings.max_body_bytes),
        ):
            self.app.include_router(router)
        if self._reader:
            self.app.include_router(clickhouse_http(self._reader, token_check(settings.sql_token)))

    def start(self) -> None:
        """Begin to write, to watch and to send."""
        self._state.channels.forget_gone()
        self._state.deliveries.revive(datetime.now(UTC))
        self._writer.start()
        self._repricer.resume()
        self._schedule.start()
        if self._grpc:
            self._grpc.start(self._intake)
        addresses = {"page": self._settings.page_url, "otlp": self._settings.otlp_url}
        log.info("taximeter is ready", extra=addresses)

    def close(self) -> None:
        """Drain, flush and close; the server has stopped, so nothing new comes in."""
        if self._grpc:
            self._grpc.close()
        self._schedule.close()
        self._sending.shutdown(wait=True)
        self._repricer.close()
        self._journal.close()
        self._writer.close()
        if self._reader:
            self._reader.close()
        self._store.close()
        self._state.close()

    def _application(self) -> FastAPI:
        settings = self._settings
        app = FastAPI(title="Taximeter", docs_url=None, redoc_url=None)
        refusals(app)
        app.add_middleware(Heads)
        public = urlsplit(settings.public_url).hostname
        names = {public} if public else set()
        app.add_middleware(
            Guard,
            names=names | LOOPBACK_NAMES if settings.is_loopback else names,
            only_these=settings.is_loopback,
            may_read=token_check(settings.read_token),
            otlp_port=settings.otlp_port,
        )
        return app

    def _trouble(self) -> str:
        if not (self._journal.is_alive and self._writer.is_alive):
            return "the journal or its writer has stopped: see the log and start the service anew"
        if self._writer.trouble:
            return f"calls are not stored: {self._writer.trouble}"
        if stuck := ", ".join(self._schedule.stuck()):
            return f"{stuck}: under way for more than ten minutes; see the log and start it anew"
        return ""


def make_data_folder(settings: Settings) -> None:
    """Make it unless it is there; raises SettingsError."""
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"{PREFIX}DATA_DIR={settings.data_dir}: {error.strerror}; give a folder to write to"
        ) from error
    if not is_writable(settings.data_dir):
        raise SettingsError(
            f"{PREFIX}DATA_DIR={settings.data_dir}: it can't be written; give a folder to write to"
        )


def _grpc_receiver(settings: Settings) -> GrpcReceiver | None:
    port = settings.otlp_grpc_port
    if port is None:
        return None
    try:
        from taximeter_collector.receiver_grpc import GrpcReceiver
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"{PREFIX}OTLP_GRPC_PORT={port}: {error.name} is missing; "
            "pip install 'taximeter-server[grpc]'"
        ) from error
    try:
        return GrpcReceiver(
            settings.address(port),
            authorised=token_check(settings.ingest_token),
            max_body_bytes=settings.max_body_bytes,
        )
    except OSError as error:
        raise SettingsError(
            f"{PREFIX}OTLP_GRPC_PORT={port}: {error}; stop what listens there, or give another"
        ) from error
