"""The refusals in German. Data only."""

from connectors.models.refusal_words.vocabulary import PICTURE, Vocabulary

_DO = (
    r"(?:bearbeit|helf|weiterhelf|beschreib|beschrieb|identifizier|unterstutz"
    r"|bereitstell|verarbeit|analysier|interpretier|erfull|beantwort|antwort|fortfahr"
    r"|fortsetz|preisgeb|offenleg|geb|macht?\b|machen|tun|erstell|zugreif|anzeig|bewert"
    r"|offn|nenn|nachkomm|behilflich|dienen|liefern|anbiet|entsprech|aussern|auskunft"
    r"|teilnehm)"
)
GERMAN = Vocabulary(
    cores=(
        rf"(?:kann|konnen|konnte|darf|durfen|mochte|werde|will|muss|soll)\b(?: "
        rf"\w+){{0,9}}? (?:nicht|nichts|niemand\w*|kein\w*|leider)\b(?: \w+){{0,9}}? "
        rf"?\b(?:\w*){_DO}",
        r"(?:kann|darf|mochte|werde) (?:ich )?(?:\w+ ){0,4}?(?:nicht|leider nicht)(?: "
        r"(?:tun|machen|helfen))?$",
        rf"(?:nicht|leider nicht|ausserstande|ausser stande)(?: \w+){{0,2}}? (?:in der "
        rf"lage|moglich|imstande|befugt|berechtigt|fahig|erlaubt|gestattet"
        rf"|ausserstande)(?: \w+){{0,9}}? ?\w*{_DO}",
        rf"(?:sehe|erhalten|bekommen|angehangt|habe)(?: (?:ich|leider|hier"
        rf"|bisher)){{0,3}} kein\w* {PICTURE}",
        rf"(?:sehe|kann|konnte)(?: (?:ich|leider)){{0,2}} (?:das|dieses|die|diese"
        rf"|ihr\w*|dein\w*) {PICTURE} (?:leider )?nicht\b",
        rf"nicht (?:\w+ )?(?:in der lage|moglich|imstande) {PICTURE} (?:\w+ "
        rf"){{0,3}}?(?:zu sehen|anzusehen)",
        r"nicht (?:sagen|wissen|bestimmen|feststellen) wer\b|weiss(?: \w+)? nicht wer\b"
        r"|(?:das|es) geht (?:leider )?nicht$",
        r"(?:meine|unsere|die) \w*richtlinien (?:erlauben|gestatten|verbieten)(?: (?:es"
        r"|mir|uns)){0,2} (?:nicht|dies\w*|zu)?",
        r"(?:von|durch) (?:\w+ )?\w*(?:system|filter)\w* (?:abgelehnt|blockiert"
        r"|zuruckgewiesen)",
        r"kein\w* bild\w*(?: \w+)? (?:seh|anseh|erhalt|bekomm|angehangt"
        r"|hochgeladen)\w*",
        r"(?:muss|mochte|werde)(?: \w+){0,5}? (?:ablehnen|verweigern)|(?:lehne"
        r"|verweigere)\b|nicht (?:in der lage|moglich|imstande)$",
        r"(?:gegen|verstosst|verletzt|widerspricht)(?: \w+){0,2}? (?:\w*richtlinien?"
        r"|regeln|bedingungen|grundsatze\w*|vorgaben)",
    ),
    about_the_picture=(
        r"(?:erkenn\w*|identifizier\w*|sehen|bestimm\w*) (?:genau )?(?:was|ob|welch\w*"
        r"|wie)\b"
    ),
    offer=(
        r"(?:kann|konnte|soll)(?: (?:aber|ich|ihnen|dir|gern\w*|helfen|dabei|bei"
        r"|jedoch)){0,5}(?: (?:die|der|den|das|des|und|oder|andere\w*|kleidung"
        r"|hintergrund|szene|umgebung|details|elemente|objekte|farben|aspekte))+ (?:zu "
        r")?beschreiben\b"
    ),
    words="""
    ab abbild* aber abgelehnt* ableh* abzulehnen alle* allgemein* als alternativ* am an
    analys* ander* anfrage* angeb* angehang* anhang* anliegen anseh* anstoss* antwort*
    anweis* anzeig* anzusehen arbeit* art auch auf aufforder* aufgabe* aufgrund aus
    auskunft* ausser aussern ausserstande beantwort* bearbeit* bedau* bedingung* befugt*
    behilflich bei bekannt* bekomm* benotig* berechtig* bereit* beschreib* besproch*
    bestimm* bewert* beziehungsweise bezug bild bilde* bin biomet* bitte blockiert*
    brauch* da dabei dafur daher damit danke* daran darauf darf darstell* daruber das
    dass datei* daten datenschutz* davon dazu dein* dem den denen denn der deren des
    deshalb details dich die dies* dir direkt doch dokument* du durch durf* eben eigen*
    ein eine* einig* einzel* einzugehen enthalt* enthull* entschuldig* entsprech*
    entwickl* er erfull* erhalt* erkenn* erklar* erlaub* erstell* es ethisch* etwas euch
    euer explizit* fahig* fall falls feststell* form fort* foto* frag* freundlich* freut
    fuhl* funktion* fur furcht* ganz* geb* geeignet* gegen gehen geht gemass gern*
    gesicht* gesprach* gesproch* gestattet gestell* gewalt* gib grund* hab* hass* hat
    hatt* helf* heraus hier hilf* hinblick hochgelad* hoffe hoffentlich ich identi* ihm
    ihn* ihr* im immer imstande in indem individu* info inform* inhalt* ins interpret*
    irgend* ist ja jed* jegliche* jemand* kann kein* ki konkret* konn* kontext
    kunstlich* lage lass* lehne leid leider leist* lieber liefer* mach* mag mehr mein*
    melde* mich minderjahr* mir mit moch* modell* moglich* moment muss* nach nachkomm*
    nackt* nahme name* natur nein nenn* nicht nichts niemand niemanden noch nochmals
    notig* nun nur nutz* ob oder offenleg* offensiv* offentlich* offn* openai person*
    potenziell* preisgeb* privat* programmier* rat real* recht* regel* richtlinie*
    sache* sag* schadlich* schutz* seh* sein* selbst sensibl* sexuell* sich sicher* sie
    sind so sobald solch* soll* sondern sonst* sowie spezi* sprach* statt stelle stellen
    system* tatsachlich teilen them* tun tut tut's um un unangemess* und ungeeignet*
    unmoglich* uns unser* unter unterstutz* urheber* verarbeit* verbiet* verbot* verfug*
    verletz* vermeid* verstand* versteh* verstoss* versuch* verweiger* vielleicht
    visuell* vom von vor vorgab* vorlieg* war waren was wegen weil weiss weit* wenden
    wenn wer werd* wid* wie will wir wird wiss* wo wofur wunsch* wurd* zeig* zu zugreif*
    zulass* zum zur zuruck* zusatz* zustimm* zwar
    """,
)
