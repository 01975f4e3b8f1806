"""The vocabulary of refusals in each language. Data only."""

from connectors.models.refusal_words.english import ENGLISH
from connectors.models.refusal_words.french import FRENCH
from connectors.models.refusal_words.german import GERMAN
from connectors.models.refusal_words.italian import ITALIAN
from connectors.models.refusal_words.portuguese import PORTUGUESE
from connectors.models.refusal_words.spanish import SPANISH

LANGUAGES = (ENGLISH, SPANISH, PORTUGUESE, FRENCH, GERMAN, ITALIAN)
