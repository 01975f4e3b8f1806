"""The form of a vocabulary of refusals, and the patterns that all languages share.

One of the patterns in `cores` must occur: the model says that it cannot or will not.
"To see" and "to receive" count only if their object is the picture itself, because a
text about what a picture does not show is a description. `about_the_picture` must not
occur: there the model says what it cannot recognise. `offer` is what the model would
describe instead. `words` are all words of which a refusal may consist; `*` stands for
any ending, and an article with an apostrophe may precede each. They must not include a
word about what a picture shows.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Vocabulary:
    cores: tuple[str, ...]
    about_the_picture: str
    offer: str
    words: str


# Words by which an organisation refers to itself.
ORGANISATION = (
    r"we|we're|we've|our|us|nosotros|nos|nuestr\w+|podemos|hemos|lamentamos|sentimos"
    r"|noss\w+|conseguimos|nous|notre|pouvons|regrettons|wir|uns|unser\w*|noi|nostr\w+"
    r"|possiamo|siamo"
)
# A thing that the model cannot recognise, in all languages: it describes a poor picture.
UNCLEAR_THING = (
    r"(?:identif\w*|recogni\w*|reconoc\w*|reconhec\w*|reconna\w*|riconosc\w*"
    r"|determin\w*|see|view|find) (?:(?:the|any|this|an?|el|la|los|este|esta|una?|o|os"
    r"|a|as|um|uma|le|les|ce|cette|il|lo|questo) |l')(?:texts?|document[eio]?s?"
    r"|syst?em\w*|sistem\w*|part[es]*|types?|tipo|materi\w+|obj\w+|oggett\w+|names?"
    r"|nombres?|nomes?|nom)\b|(?:dokument|teil|objekt|system|text|name)\w* nicht "
    r"(?:identif|erkenn)"
)
# The picture as the direct object of a verb, in all languages.
PICTURE = (
    r"(?:(?:any|the|this|that|an?|your|or|to|and|actual|attached|analy[sz]e|interpret"
    r"|process|describe|identify|recogni[sz]e|view|see|l[aeo]s?|e[ln]|est?as?|es[as]+"
    r"|ningun|ninguna|un[ae]?|tua?|sua?|ni|[aeo]s?|direct\w+|diret\w+|interpret\w+"
    r"|anali\w+|proces\w+|describir|descrever|identificar|nenhuma?|ao|nem|ou|pas|des?"
    r"|aucune?|cette|votre|traiter|les|alcuna|nessuna|questa|quella|il|alle|alla|ne"
    r"|elaborare) |(?:[dl]|un|nessun|all|alcun|qu'une?)'){0,5}(?:images?|pictures?"
    r"|photo(?:graph)?s?|files?|attachments?|imagen|imagenes|imagem|imagens|fotos?"
    r"|fotografi[ae]s?|a[rq]\w*ivos?|adjuntos?|anexos?|photographies?|fichiers?"
    r"|immagin[ei]|allegat[oi]|(?:bild|foto|datei|anhang|aufnahme)\w*)\b(?! (?:of"
    r"|d[aeio]|del|della|d'\w+) )"
)
