"""The providers: one row per provider with what the rest of the program must know.

The behaviour of a provider is in its file of connectors/providers, which only
connectors and roles import.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProviderTraits:
    """The facts about a provider that stages, storage and commands need.

    - `retries`: it sends a refused webhook again. If it does not, refusing a webhook
      because of its rate loses the message, so only a rate that is set on the endpoint
      itself applies.
    - `sends_updates`: later events have the message's own id, for example when its file
      is ready. If it sends none, a second delivery with a known key is always a duplicate.
    - `numbers_per_server`: each server of the provider numbers its messages from one, so
      a second server needs a label (`--instance`).
    - `files_need_key`: without the provider's API key, links to files expire after
      minutes.
    - `conversation_is_customer`: a conversation has no id other than its customer's.
    - `secret_prefix`: the first characters of its secrets.
    - `signature_headers`: what the headers of a signature look like.
    - `webhook_page`: where a person enters the URL, and which page of docs/ shows it.
    """

    name: str
    title: str
    secret_prefix: str = ""
    retries: bool = True
    sends_updates: bool = False
    numbers_per_server: bool = False
    files_need_key: bool = False
    conversation_is_customer: bool = False
    signature_headers: str = ""
    webhook_page: str = "in the provider's settings of webhooks: paste the URL"


PROVIDERS: dict[str, ProviderTraits] = {
    provider.name: provider
    for provider in (
        ProviderTraits(
            "ycloud",
            "YCloud",
            secret_prefix="whsec_",
            files_need_key=True,
            conversation_is_customer=True,
            signature_headers="YCloud-Signature: t=…,s=…",
            webhook_page="at YCloud: Developers, Webhooks, Add endpoint, and paste the URL"
            " (docs/connect-ycloud.md)",
        ),
        ProviderTraits(
            "chatwoot",
            "Chatwoot",
            retries=False,
            sends_updates=True,
            numbers_per_server=True,
            signature_headers="X-Chatwoot-Timestamp: …",
            webhook_page="in Chatwoot: Settings, Integrations, Webhooks, and paste the URL"
            " (docs/connect-chatwoot.md)",
        ),
    )
}


def traits_of(provider: str) -> ProviderTraits:
    """The traits of a provider, or default traits if it has no row."""
    return PROVIDERS.get(provider) or ProviderTraits(provider, provider)


def labelled_providers() -> str:
    """The titles of the providers whose further servers need a label, for messages."""
    return " or ".join(one.title for one in PROVIDERS.values() if one.numbers_per_server)
