"""The refusals in English. Data only."""

from connectors.models.refusal_words.vocabulary import PICTURE, Vocabulary

_UNABLE = (
    r"(?<!you )(?<!you are )(?<!they )(?<!they are )(?:can't|cannot|can not|cant"
    r"|couldn't|could not|unable to|not able to|won't(?: be able to)?|will not(?: be "
    r"able to)?|not allowed to|not permitted to|not authori[sz]ed to|not comfortable"
    r"|not capable of|incapable of|must decline(?: to)?|have to decline(?: to)?|need "
    r"to decline(?: to)?|decline to|refuse to|not going to|not designed to|not "
    r"equipped to|not programmed to|not trained to|(?:don't|do not) have the (?:ability"
    r"|capability|capacity|means) to|(?:i|we|model|assistant) (?:\w+ )?(?:may not"
    r"|should not|shouldn't)|not possible(?: for me)? to|not appropriate(?: for me)? to"
    r"|not in a position to)"
)
_DO = (
    r"(?:in good conscience |(?:(?!be |see |view |find |read |make |tell )\w+ ){0,2}?)"
    r"(?:assist|help|describ|identif|provid|compl|process|analy[sz]|interpret|fulfil"
    r"|answer|respond|discuss|engag|continu|support|recogni[sz]|generat|offer|access"
    r"|perform|give|share|do\b|look at|comment|accommodat|proceed|examin|evaluat|review"
    r"|display|open (?:\w+ )?(?:image|picture|photo|attachment)|caption|transcrib|say\b"
    r"|name\b"
    rf"|reveal|extract|creat|guess|make (?:guesses|identifications|assumptions)|(?:see"
    rf"|view) {PICTURE}|view (?:this|it)$"
    r"|read (?:or extract )?(?:personal|private|sensitive|identity|identification"
    r"|ids)\b|(?:determin\w+|confirm|verif\w+|tell|know) (?:\w+ |\w+'s ){0,2}?(?:who"
    r"|identit\w*)\b)"
)
ENGLISH = Vocabulary(
    cores=(
        rf"{_UNABLE} {_DO}",
        r"(?:must|have to|need to|will|'ll|i) (?:respectfully |politely )?(?:decline"
        r"|refuse)\b",
        rf"(?:rather not|prefer not to|(?:programmed|designed|instructed|trained) not "
        rf"to) {_DO}",
        rf"(?:don't|do not|didn't|did not|can't|cannot|unable to) (?:\w+ )?(?:see"
        rf"|receive|view|find|have access) {PICTURE}",
        r"no (?:image|picture|photo|file)s? (?:(?:was|were|is|has been|have been) )?"
        r"(?:attached|provided|received|uploaded|included|sent|found)\b",
        r"\b(?:my|our|openai's|content|usage|safety) (?:\w+ )?(?:guidelines|polic(?:y"
        r"|ies)|rules|programming|principles) (?:\w+ )?(?:prevents?|prohibits?|forbids?"
        r"|(?:don't|do not|doesn't|does not) (?:allow|permit))\b",
        r"(?:rejected|blocked|flagged|declined|denied) (?:as a result of|by|due to"
        r"|because of) (?:\w+ ){0,2}?(?:safety|content|moderation) (?:system|filter"
        r"|polic|guideline)",
        r"don't feel comfortable|(?:request|this|it) (?:is|was|has been) (?:denied"
        r"|declined|refused|not allowed)",
        r"(?:not something|nothing) (?:that )?i can",
        r"(?:don't|do not|doesn't|does not) (?:identify|describe|recogni[sz]e"
        r"|analy[sz]e|comment|assist)\b",
        r"^(?:sorry|apologies) no$|(?:have|going) to pass on (?:this|that)|^request "
        r"(?:declined|denied|refused)$",
        r"(?:can't|cannot|can not|unable to) be (?:described|processed|shown"
        r"|analy[sz]ed)",
        r"(?:goes against|against|violates?|violating|breach(?:es)?|outside) (?:of "
        r")?(?:my|our|the|openai'?s?)?(?: \w+)? ?(?:guidelines?|polic(?:y|ies)|rules"
        r"|terms|principles|programming)",
    ),
    about_the_picture=(
        r"(?:identif\w*|recogni\w*|determin\w*|see|tell) (?:exactly )?(?:what|whether"
        r"|which|how)\b"
    ),
    offer=(
        r"(?:i can|i could|happy to|glad to|if you need|would you like)(?: (?:help"
        r"|still|also|try|to|you|provide|give|offer|me|a)){0,4} (?:describ\w*"
        r"|description|help|assist|details)(?: (?:with|the|of|an?|any|or|and|other|in"
        r"|this|their|its|image|photo|picture|visual|general|overall|details|clothing"
        r"|background|scene|setting|elements|objects|colou?rs|composition|mood|aspects"
        r"|features|things|style))*\b"
    ),
    words="""
    a abilit* able about above accept* access* accommodat* account* ad additional
    adhere* adult advice afraid again against ai ai's all allow* alternative* always am
    an analy* and another answer* any anyone anything anyway apolog* appear appearance
    appears appreciate appropriate are as ask* aspect* assist* assumption* at attached
    attachment authori* avoid* base based be because been being below beyond biometric*
    blocked but by can can't cannot cant capab* capacit* caption* care case comfortable
    comment* compl* confirm* conscience consider* contact contain* content* context
    continue* conversation* could couldn't creat* currently d data decline* denied deny
    depict* describ* description* designed detail* determin* developed developer* didn't
    direct* disclos* discuss* display* do document* does doesn't don't due either else
    engag* ensur* equipped ethic* evaluat* exact* examin* example explain* explicit*
    express* extract* face faces facial features feedback feel file* filter* flagged
    follow* for forbid* format free from fulfil* full further general* generat* give*
    giving glad go goes going good graphic guess* guideline* had happy harm* hate* have
    having help* here hesitate hope how however i i'd i'll i'm i've ident* ids if
    illegal image* in inappropriate incapable included individual* info inform* input
    instead instruct* intend* interpret* into involv* is isn't it it's its just kind
    kindly know language large legal let like limit* ll look* lot m made make makes
    making material matter may me mean* might minor* model* moderation moment more must
    my myself name* nature necessary need* never no nor not nothing nude nudity of
    offens* offer* on one only open* or other others otherwise our over own part* pass
    people people's perform* permit* person person's personal* persons phot* picture*
    pleas* polic* polit* portray* position possib* potential* prefer present* prevent*
    principle* privacy private proceed* process* produc* program* prohibit* promot*
    prompt* properly protect* provid* public purpose* question* rather re read real
    really reason* receive* recogni* refrain* refus* regard* regret* regulat* reject*
    relat* repl* request* require* respect* respond* response* responsib* restrict*
    result reveal* review* right* rule* s safe* say see sensitive sent service* sexual*
    share* sharing should shouldn't shown similar since so some someone something sorry
    specific* such suggestive suitable support* sure system* t task* tell terms text
    text-based than thank* that that's the their them then there there's these they
    thing* this this's those though time to topic* train* transcribe transcribing trust
    try trying ts type* unable under understand* unfortunately unsafe until upload* us
    usage use user* ve verif* version very via view* violat* violen* visual* want was
    way we we're well were what what's whatever when where which while who whose why
    will willing wish with within without won't work would yes you you'd you'll you're
    your yourself
    """,
)
