"""Whose token is used to publish, and what it allows, as far as the Hub says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zoo.core.errors import HubError
from zoo.hub import client, reasons
from zoo.hub.deadline import TooLate, in_time
from zoo.hub.source import HubSource


@dataclass(frozen=True)
class Account:
    """The owner of a token."""

    name: str
    role: str
    """``read``, ``write`` or ``fineGrained``; "" where the Hub does not say."""
    namespaces: Mapping[str, str]
    """The user and the user's organisations, with the role in each."""
    creates_in: frozenset[str] | None
    """Namespaces in which a fine-grained token may make repositories; None for other tokens."""

    def role_in(self, namespace: str) -> str | None:
        """The role in a namespace, whatever its case; None in one of others."""
        return next((role for name, role in self.namespaces.items() if name.lower() == namespace.lower()), None)


def current() -> Account:
    """Who publishes. Raises :class:`HubError` without a token, or for one that the Hub refuses."""
    if client.is_offline():
        raise reasons.offline("Publishing")
    if not reasons.has_token():
        raise HubError(
            f"No token is set, and publishing needs one that may write. Log in: {reasons.LOGIN} (or set HF_TOKEN)"
        )
    try:
        return _account(in_time(client.PATIENCE, lambda: client.api().whoami()))
    except (Exception, TooLate) as error:
        raise reasons.explain(error, HubSource("")) from error


def _account(found: Mapping[str, Any]) -> Account:
    """The account that the Hub describes."""
    token = (found.get("auth") or {}).get("accessToken") or {}
    name, role = str(found["name"]), str(token.get("role", ""))
    roles = {name: "admin", **{one["name"]: one.get("roleInOrg", "") for one in found.get("orgs") or []}}
    scoped = (token.get("fineGrained") or {}).get("scoped") or []
    creates = {str(one["entity"].get("name")) for one in scoped if "repo.write" in one["permissions"]}
    return Account(name, role, roles, frozenset(creates) if role == "fineGrained" else None)
