"""A user who asks to be forgotten."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from taximeter_collector.store import Store


class Forgotten(BaseModel):
    """Who is to be forgotten; in the body, as addresses are written into logs."""

    user: str = Field(min_length=1)


def forgetting_api(store: Store) -> APIRouter:
    router = APIRouter(prefix="/api")

    @router.post("/forget")
    def forget(one: Forgotten) -> dict[str, int]:
        """Take a user's name off all stored calls; their dollars stay, with nobody's name."""
        return {"calls": store.forget(one.user)}

    return router
