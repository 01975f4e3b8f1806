"""Routes of a tenant's preferences: language, prompts, models, its own model key, and limits."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from connectors.console.pages.changing import with_tenancy
from connectors.console.pages.parts import PageParts
from connectors.console.pages.visits import PageProblem, Visit, visit_of
from schemas.keys import TenantId
from schemas.tenant_changes import WrongChange, read_change
from schemas.tenants import TenantSettings
from storage.postgres.tenancy import Tenancy

GROUPS = {
    "words": ("language", "trade", "context_text"),
    "pictures": ("vision_model", "vision_prompt"),
    "voice": ("transcription_model", "transcription_prompt"),
    "key": ("openai_key",),
    "limits": ("rate", "max_bytes", "describe_outgoing", "describe_old"),
}
"""The fields, in the groups in which the page shows them."""
SECRET_FIELDS = frozenset({"openai_key"})
LONG_FIELDS = frozenset({"vision_prompt", "transcription_prompt"})


def add_preferences(router: APIRouter, pages: PageParts) -> None:
    """Adds the routes."""

    @router.get("/t/{tenant}/preferences", name="preferences")
    async def preferences(request: Request, tenant: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "admin")
        now = await _now(pages, visit, tenant_id)
        is_saved = "saved" in request.query_params
        return _page(pages, visit, tenant_id, now, now, is_saved=is_saved)

    @router.post("/t/{tenant}/preferences")
    async def save(request: Request, tenant: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "admin")
        now = await _now(pages, visit, tenant_id)
        changes, wrong = changes_of(visit.form, now)
        if wrong:
            typed = {
                name: (name in visit.form)
                if isinstance(value, bool)
                else visit.form.get(name, value)
                for name, value in now.items()
            }
            return _page(pages, visit, tenant_id, typed, now, wrong=wrong)
        if changes:

            async def work(tenancy: Tenancy) -> None:
                await tenancy.set_tenant(tenant_id, changes)

            await with_tenancy(pages, visit, work)
        return RedirectResponse(f"/t/{tenant_id}/preferences?saved", 303)


def changes_of(form: dict[str, str], now: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Returns the changed values, and the typed text of each invalid field.

    A secret field that is left empty keeps its value.
    """
    changes, wrong = dict[str, Any](), dict[str, str]()
    for group in GROUPS.values():
        for name in group:
            is_choice = isinstance(getattr(TenantSettings(), name), bool)
            text = ("yes" if name in form else "no") if is_choice else form.get(name, "")
            if name in SECRET_FIELDS and not text.strip():
                if f"end_{name}" in form:
                    changes[name] = None
                continue
            if not is_choice and name not in form:
                continue
            try:
                _, value = read_change(name.replace("_", "-"), text.replace("\r\n", "\n"))
            except WrongChange:
                wrong[name] = text[:100]
                continue
            if _as_text(value) != _as_text(now[name]):
                changes[name] = value
    return changes, wrong


def _as_text(value: Any) -> str:
    """Returns the value as a form shows it."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else str(value)


async def _now(pages: PageParts, visit: Visit, tenant_id: TenantId) -> dict[str, Any]:
    """Returns the current settings; for a secret only whether it is set.

    Raises PageProblem 409 if they cannot be decrypted, because saving would overwrite
    them with defaults.
    """

    async def work(tenancy: Tenancy) -> dict[str, Any] | None:
        return await tenancy.settings_of(tenant_id)

    found = await with_tenancy(pages, visit, work)
    if found is None:
        raise PageProblem(409, "prefs.unreadable")
    return found


def _page(
    pages: PageParts,
    visit: Visit,
    tenant_id: TenantId,
    values: dict[str, Any],
    now: dict[str, Any],
    *,
    wrong: dict[str, str] | None = None,
    is_saved: bool = False,
) -> Response:
    return visit.page(
        "preferences.html",
        422 if wrong else 200,
        tenant=tenant_id,
        section="tenants",
        groups=GROUPS,
        values={
            name: value if isinstance(value, bool) else _as_text(value)
            for name, value in values.items()
        },
        has_key=now["openai_key"] is not None,
        defaults={**pages.other_roles.models, "language": "es"},
        wrong=wrong or {},
        is_saved=is_saved,
        long_fields=LONG_FIELDS,
        secret_fields=SECRET_FIELDS,
        unknown=pages.other_roles.unknown_models(now),
    )
