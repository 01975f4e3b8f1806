"""The providers: one row each of what the rest of the program must know about them.

How a provider speaks is in its file of connectors/providers,
which only connectors and roles import.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProviderTraits:
    """What stages, storage and commands ask about a provider.

    - `retries`: a refused webhook is sent again.
      Without it a refusal for the rate loses the
      message, so only a rate that is set on the endpoint itself counts.
    - `sends_updates`: later events come under the
      message's own id, for example when its file is
      there. Without it a second delivery with a
      known key is a duplicate, whatever it holds.
    - `numbers_per_server`: each server of the provider
      numbers its messages from one, so a second
      server needs a label (`--instance`).
    - `files_need_key`: without the provider's API
      key, links to files work for minutes only.
    - `conversation_is_customer`: a conversation has no id besides its customer's.
    - `secret_prefix`: how its secrets begin.
    - `webhook_page`: where a person pastes the URL, and which page of docs/ shows it.
    """

    name: str
    title: str
    secret_prefix: str = ""
    retries: bool = True
    sends_updates: bool = False
    numbers_per_server: bool = False
    files_need_key: bool = False
    conversation_is_customer: bool = False
    webhook_page: str = "where the provider takes the address of a webhook: paste the URL"


PROVIDERS: dict[str, ProviderTraits] = {
    provider.name: provider
    for provider in (
        ProviderTraits(
            "ycloud",
            "YCloud",
            secret_prefix="whsec_",
            files_need_key=True,
            conversation_is_customer=True,
            webhook_page="at YCloud: Developers, Webhooks, Add endpoint, and paste the URL"
            " (docs/connect-ycloud.md)",
        ),
        ProviderTraits(
            "chatwoot",
            "Chatwoot",
            retries=False,
            sends_updates=True,
            numbers_per_server=True,
            webhook_page="in Chatwoot: Settings, Integrations, Webhooks, and paste the URL"
            " (docs/connect-chatwoot.md)",
        ),
    )
}


def traits_of(provider: str) -> ProviderTraits:
    """The row of a provider; one without a row has the default traits."""
    return PROVIDERS.get(provider) or ProviderTraits(provider, provider)
