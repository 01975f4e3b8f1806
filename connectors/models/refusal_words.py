"""The vocabulary of refusals in each language. Data only, without accents and in lower case.

`cores` are patterns of which one must occur: the model says that it cannot or will not.
`about_the_picture` must not occur: the model says what it cannot make out. `words` are
all words that a refusal may be made of; `*` stands for any ending. A word that says something about
what a picture shows must not be here.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Vocabulary:
    cores: tuple[str, ...]
    about_the_picture: str
    words: str


_EN_UNABLE = (
    r"(?:(?:i|we)(?: am| 'm|'m)?|i'm|we're|this model|the model|this assistant)?(?: \w+)? ?"
    r"(?:can't|cannot|can not|cant|couldn't|could not|unable to|not able to|won't(?: be able to)?"
    r"|will not(?: be able to)?|not allowed to|not permitted to|not authori[sz]ed to|not comfortable"
    r"|not capable of|incapable of|must decline(?: to)?|have to decline(?: to)?|need to decline(?: to)?"
    r"|decline to|refuse to|not going to|not designed to|not equipped to|not programmed to|not trained to"
    r"|(?:don't|do not) have the (?:ability|capability|capacity|means) to|may not|should not|shouldn't"
    r"|not possible(?: for me)? to|not appropriate(?: for me)? to|not in a position to)"
)
_EN_DO = (
    r"(?:\w+ ){0,2}?(?:assist|help|describ|identif|provid|compl|process|analy[sz]|view|see\b|interpret|fulfil"
    r"|answer|respond|discuss|engag|continu|support|recogni[sz]|generat|offer|access|perform|give"
    r"|share|do\b|look at|comment|accommodat|proceed|examin|evaluat|review|display|open|caption|transcrib|say\b|name\b)"
)
ENGLISH = Vocabulary(
    cores=(
        rf"{_EN_UNABLE} {_EN_DO}",
        r"(?:must|have to|need to|will|'ll|i) (?:respectfully |politely )?(?:decline|refuse)\b",
        rf"(?:rather not|prefer not to|(?:programmed|designed|instructed|trained) not to) {_EN_DO}",
        r"(?:don't|do not|didn't|did not|can't|cannot|unable to) (?:\w+ )?(?:see|receive|view|find|have access)\b",
        r"no (?:image|picture|photo|file)s? (?:was|were|is|has|have|attached|provided)",
        r"don't feel comfortable|(?:request|this|it) (?:is|was|has been) (?:denied|declined|refused|not allowed)",
        r"(?:not something (?:that )?i can|nothing (?:that )?i can)",
        r"(?:don't|do not|doesn't|does not) (?:identify|describe|recogni[sz]e|analy[sz]e|comment)\b",
        r"^(?:sorry|apologies) no$|^request (?:declined|denied|refused)$",
        r"(?:can't|cannot|can not|unable to) (?:be described|be processed|be shown|be analy[sz]ed)",
        r"(?:goes against|against|violates?|violating|breach(?:es)?|outside) (?:of )?(?:my|our|the|openai'?s?)?(?: \w+)? ?"
        r"(?:guidelines?|polic(?:y|ies)|rules|terms|principles|programming)",
    ),
    about_the_picture=r"(?:identif\w*|recogni\w*|determin\w*|see|tell) (?:exactly )?(?:what|whether|which|how)\b",
    words="""
    a abilit* able about above accept* access* accommodat* account* ad additional adhere* adult
    advice afraid against ai ai's all allow* alternative* always am an analy* and another
    answer* any anyone anything anyway apolog* appear appears appreciate appropriate are as ask*
    aspect* assist* at attached attachment authori* avoid* base based be because been being
    below beyond biometric* but by can can't cannot cant capab* capacit* caption* care case
    comfortable comment* compl* confirm* consider* contact contain* content* context continue*
    could couldn't currently d data decline* denied deny depict* describ* description* designed
    detail* determin* developed developer* direct* disclos* discuss* display* do does doesn't
    don't due either else engag* ensur* equipped ethic* evaluat* exact* examin* example explain*
    explicit* express* face faces facial features feedback feel file* follow* for format free
    from fulfil* full further general* generat* give* giving glad go goes going graphic guess*
    guideline* had happy harm* hate* have having help* here hesitate hope how however i i'd i'll
    i'm i've ident* if illegal image* in inappropriate incapable individual* info inform* input
    instead instruct* intend* interpret* into involv* is isn't it it's its just kind kindly know
    language large legal let like limit* ll look* lot m made make makes making material may me
    mean* might minor* model* moment more must my myself name* nature necessary need* never no
    nor not nothing nude nudity of offens* offer* on one only open* or other others otherwise
    our over own part* people people's perform* permit* person person's personal* persons phot*
    picture* pleas* polic* polit* portray* position possib* potential* prefer present*
    principle* privacy private proceed* process* produc* program* prohibit* promot* prompt*
    properly protect* provid* public purpose* question* rather re real really reason* received
    recogni* refrain* refus* regard* regret* regulat* relat* repl* request* require* respect*
    respond* response* responsib* restrict* review* right* rule* s safe* say see sensitive
    service* sexual* share* sharing should shouldn't shown similar since so some someone
    something sorry specific* such suggestive suitable support* sure t task* tell terms text
    text-based than thank* that that's the their them then there there's these they thing* this
    this's those though time to topic* train* transcribe transcribing try trying ts type* unable
    under understand* unfortunately unsafe until upload* us usage use user* ve version very via
    view* violat* violen* visual* want was way we we're well were what what's whatever when
    where which while who whose why will willing wish with within without won't work would yes
    you you'd you'll you're your yourself
    """,
)

_ES_DO = (
    r"(?:\w+ ){0,2}?(?:ayud|describ|identific|asist|proporcion|proces|analiz|ver\b|verl[ao]s?\b|visualiz|respond"
    r"|contest|cumpl|atend|realiz|hacer|hacerl|ofrec|interpret|reconoc|continu|complet|facilit|dar\b|darte\b"
    r"|brindar|coment|particip|compart|examin|generar|acced|mostrar|revis|evaluar|abrir|nombr|decir|satisf|complac)"
)
SPANISH = Vocabulary(
    cores=(
        rf"no (?:me )?(?:puedo|podemos|podria|podre|es posible|resulta posible|estoy autorizad[oa] (?:a|para)"
        rf"|estoy en (?:condiciones|capacidad|posicion) de|tengo permitido|tengo permiso para|tengo la capacidad (?:de|para)"
        rf"|soy capaz de|se me permite|esta permitido|voy a|debo|estoy disenad[oa] para|estoy programad[oa] para"
        rf"|cuento con la capacidad (?:de|para)|me siento comod[oa]) {_ES_DO}",
        r"no (?:me )?(?:es posible|puedo|podemos)(?: hacerlo)?$",
        r"no (?:me )?es posible(?: (?:lo siento|disculp\w*))?$",
        rf"(?:soy |me es )?(?:incapaz de|imposible) {_ES_DO}",
        r"no (?:\w+ )?(?:veo|tengo acceso|recibi\w*|puedo ver\w*|ha[sy]? (?:adjuntad\w*|recibid\w*|ningun\w*)|se (?:adjunt|recibi)\w*)\b",
        r"(?:debo|tengo que|prefiero|he de) (?:\w+ )?(?:rechazar|negarme|declinar|abstenerme|rehusar)",
        r"(?:rechazo|declino|me niego a|me abstengo de) ",
        r"(?:va en contra|en contra|contra|viola|infringe|incumple|fuera) (?:de )?(?:mis|las|nuestras|la|los|el)? ?"
        r"(?:politicas?|normas|directrices|reglas|terminos|principios|pautas)",
    ),
    about_the_picture=r"(?:identific\w*|reconoc\w*|determin\w*|ver|decir) (?:exactamente )?(?:que|cual|como|si)\b",
    words="""
    a abrir absten* acced* acept* acerca acuerdo adecuad* adicional* adjunt* agradec* ai al alg*
    alternativ* analic* analis* analiz* ante apropiad* aqui archiv* artificial asi asist*
    aspecto* asunto* atend* atentamente aunque autoriz* ayud* basad* bien brind* capac* capaz
    cara caras caso comenta* como comod* comparti* complac* complet* comprend* compres* con
    concret* condicion* confirm* consult* conten* contest* context* continu* contra contrari*
    cosa* cual* cuando cuent* cuid* cumpl* cuyo* da dado dame dano* dar darte de deb* decir
    decirte declin* del demas derech* desafortunadamente describ* descripcion* desead* desear*
    deseas desee* desgraciadamente desnud* detall* determin* directri* disculp* disenad*
    disposicion distint* divulg* duda* e el ella* ello* en encant* enfoc* entend* entiend*
    envia* es esa* ese* eso* especific* esta* este* esto* etic* evalu* examin* explicar*
    explicit* facial* facilit* favor fin foto* fuera funcion* gener* gracias gustaria gusto ha
    haber hac* hag* han hay hazme he hubiera ia identi* ilegal* imagen* imagin* imposib*
    inadecuad* inapropiad* incapa* inconvenien* incumpl* indebid* individu* infor* infring*
    inteligencia interpret* ir la lament* las le legal* lenguaje les ley* limit* lo los mant*
    mas material me mejor mencion* menor* mi mirar mis mism* modelo* modo momento mostr* motivo*
    muy nada nadie naturaleza necesari* necesit* neg* ni niego ningun* no nombr* norma* nos
    nuestr* o objet* odio ofens* ofrec* opcion* openai otr* para parece parte* particip* pauta*
    pedid* pedir* pena perdon* permis* permit* pero persona* peticion* pid* poco pod* polit*
    ponerme por porque posib* potencial* prefier* pregunt* present* principio* privacidad
    privad* problema* proces* program* prohib* promov* proporcion* protec* proteg* public* pued*
    que querer quier* quisier* razon* real* rechaz* recibi* reconoc* referent* regla* rehus*
    relacion* respect* respond* respuesta* restric* revel* revis* rostro* saber satisf* se sea
    segur* sensible* ser servicio* servirte sexual* si sido siempre siento sin sino sobre
    solicit* solo son soy su subid* suger* sus tal tales tampoco tarea* te tem* ten* tiene*
    tipo* tod* trata* tu tus u un una unas uno unos usar uso usted* util* va veo ver verl*
    version* viol* vista visual* voy y ya yo
    """,
)

_PT_DO = (
    r"(?:\w+ ){0,2}?(?:ajud|descrev|identific|assist|auxili|fornec|process|analis|ver\b|ve la|visualiz|respond|cumpr"
    r"|atend|realiz|faz|ofere|interpret|reconhec|continu|complet|dar\b|coment|particip|compartilh|partilh|examin|ger|acess"
    r"|mostr|revis|avali|abrir|nome|dizer|prosseg|satisf)"
)
PORTUGUESE = Vocabulary(
    cores=(
        rf"nao (?:\w+ )?(?:posso|consigo|podemos|poderei|poderia|e possivel|estou autorizad[oa] a|sou capaz de"
        rf"|tenho permissao para|tenho (?:a )?capacidade (?:de|para)|me e permitido|vou|devo|estou apt[oa] a"
        rf"|me sinto confortavel|fui (?:projetad[oa]|treinad[oa]|programad[oa]) para) {_PT_DO}",
        r"nao (?:\w+ )?(?:posso|consigo|e possivel)(?: faze lo| fazer isso)?$",
        rf"(?:sou |e )?(?:incapaz de|impossivel) {_PT_DO}",
        r"nao (?:\w+ )?(?:vejo|tenho acesso|recebi|ha nenhuma|foi (?:anexad|enviad)\w*)\b",
        r"(?:devo|tenho (?:que|de)|preciso|prefiro) (?:\w+ )?(?:recusar|negar|declinar|me abster|abster me)",
        r"(?:recuso me|me recuso|recuso|declino) ",
        r"(?:contra|viola|infringe|fora) (?:d[ao]s? )?(?:as|os|a|o|minhas|nossas|meus)? ?"
        r"(?:politicas?|normas|diretrizes|regras|termos|principios)",
    ),
    about_the_picture=r"(?:identific\w*|reconhec\w*|determin\w*|ver|dizer) (?:exatamente )?(?:o que|qual|como|se)\b",
    words="""
    a abaixo abrir abst* aceit* acess* acima acordo adequad* adicion* agradec* ai ainda ajud*
    alem algo alguem algum* alternativ* analis* anexad* ao aos apenas apropriad* apt* aqui
    arquivo* artificial as aspecto* assim assist* assunto* atend* atual* autoriz* auxili* avali*
    base basead* bem capa* carreg* caso cert* cois* com coment* comigo como compartilh* complet*
    compree* conform* confortavel conhec* conseg* consider* consig* consult* conte* continu*
    contra convers* crit* cuid* cumpr* da dado dados dano* dar das de declin* deix* dela* dele*
    demais descrev* descri* desculp* desej* dess* dest* detalh* determin* deve devo direit*
    diretri* disp* diss* diver* divulg* dizer do dos duvida* e ela* ele* em embora encontr*
    entend* envia envia-la enviad* enviala enviar envie especific* ess* est* etic* eu evit*
    exam* exempl* explic* facial* facilit* falar fale favor faz* feliz fic* fim fique foi for
    foram forn* foto* fui fun* ger* gost* grat* ha hum* ia identi* ilegal* imagem imagens
    imposs* inadequad* inapropriad* incapaz indic* individu* infelizmente infor* infring*
    inteligencia interpret* ir isso isto ja la lament* legal* lhe* lidar limit* linguagem lo
    mais manter mas material me melhor* mencion* menor* meu* mim minh* model* modo momento
    mostr* motivos muit* na nada nao nas natureza necess* neg* nem nenhum* ness* nest* ninguem
    no nome* norma* nos noss* novamente nud* o objet* obrigad* odi* ofens* ofere* opc* openai os
    ou outr* para parte* particip* partilh* peco pedid* pel* pen* perdao pergunt* permi* pess*
    pod* polit* por porque poss* potencial* precis* prefir* present* principio* privacidade
    privad* problem* process* produz* program* proib* projet* promo* prossegu* prote* public*
    qual* quand* que quer* questao questoes quiser* razao razoes real* receb* reconhec* recus*
    refer* regra* relacion* respeit* respond* respost* restr* revel* revis* rosto* sao satisf*
    se segur* sej* sem sensiv* ser servic* seu* sexual* si sido sim sinto so sobre solicit*
    somente sou sua* sugest* tal* tamb* tant* taref* te tem tema* temos tenh* ter termo* teu* ti
    tipo* tod* trat* trein* tu tua* um uma umas uns usar uso util* vai varias varios ve vejo ver
    versao viol* visual* voce* vou
    """,
)

_FR_DO = (
    r"(?:\w+ ){0,2}?(?:aider|decri|identifi|assist|fourni|traiter|analys|voir\b|visualis|repond|satisf|realis|faire"
    r"|offr|interpret|reconnai|continu|complet|donner|comment|particip|partag|examin|gener|acced|montr|evalu|ouvrir"
    r"|nommer|dire\b|accomplir|executer|effectuer|proposer|acceder|apporter)"
)
FRENCH = Vocabulary(
    cores=(
        rf"(?:je )?ne (?:\w+ )?(?:peux|puis|pouvons|pourrai|pourrais|suis|sommes|dispose|vais|dois|n'ai)"
        rf"(?: pas| malheureusement pas| point)?(?: en mesure| capable| autorisee?| habilitee?| a l'aise| concue?"
        rf"| programmee?| de la capacite)?(?: de| d'| a| pour)? ?(?:\w+'|\w+ )?{_FR_DO}",
        r"(?:je )?ne (?:\w+ )?(?:peux|puis)(?: malheureusement)? pas(?: le faire)?$",
        rf"n'ai pas (?:le droit|la capacite|la possibilite|l'autorisation) (?:de |d')(?:\w+'|\w+ )?{_FR_DO}",
        rf"(?:il )?(?:ne m'est|n'est|m'est) (?:pas )?(?:malheureusement )?(?:pas )?(?:possible|impossible|permis)"
        rf"(?: de| d')? ?(?:\w+'|\w+ )?{_FR_DO}",
        rf"(?:suis )?(?:dans l'incapacite|incapable|l'impossibilite) (?:de|d') ?(?:\w+'|\w+ )?{_FR_DO}",
        r"(?:ne|n'ai|n'a) (?:\w+ )?(?:vois|pas acces|pas recu|aucune image|voit)\b",
        r"(?:je )?(?:dois|prefere) (?:\w+ )?(?:refuser|decliner|m'abstenir)\b",
        r"(?:je )?(?:refuse|decline) ",
        r"(?:contre|contraire a|contraires a|enfreint|viole) (?:mes|aux|les|nos|la|a)? ?(?:\w+ )?"
        r"(?:politiques?|regles|directives|conditions|principes|consignes)",
    ),
    about_the_picture=r"(?:identif\w*|reconn\w*|determin\w*|voir|dire) (?:exactement )?(?:ce qu\w*|quel\w*|comment|si)\b",
    words="""
    a abord* absten* acced* accept* accomplir adequat* afin ai aid* aise alternativ* analys*
    apport* approprie* apres artificielle assist* au aucun* aupres autoris* autre* aux avec avez
    avoir base besoin* bien c'est ca capab* capacit* car cas ce cela celle* celui cert* ces cet
    cett* chos* ci comm* complet* comprehension comprend* concern* concu* condition* confident*
    confirm* conform* consign* conten* contex* continu* contraire* contre crains d d'acced*
    d'accept* d'aid* d'analys* d'apport* d'assist* d'autre* d'avoir d'effect* d'evalu* d'exam*
    d'execut* d'explic* d'ident* d'image* d'individu* d'inform* d'interpret* d'offrir d'origine
    d'ouvrir d'un d'une da dans de decline* decri* demand* des descript* desol* determin* deux
    dire directive* discut* dispos* divulg* document* dois don* droit* du effect* egalement
    elle* en encore enfrein* ensemble entendu envoy* es est et etes ethique* etre eux evalu*
    exam* excus* execut* exempl* explicit* expliqu* facial* faciaux faire fait faut fichier*
    fonction* forme fourni* gener* habilit* haine* hesit* heureu* humain* ia ici identi* il
    illegal* image* impossib* inappropri* incapa* inclu* indiqu* individu* infor* instruct*
    intellig* interpret* j j'ai j'aimerai* j'en j'espere je l l'aide l'aise l'analys* l'assist*
    l'autre l'ident* l'image* l'impossibilite l'incapacite l'individu* l'inform* l'interpret* la
    langage le legal* les leur* limit* lui m'abst* m'en m'est m'etant m'excus* ma mais
    malheureusement maniere* me mem* mentionn* merci mes mesure mettre mieux mineur* modele* moi
    moment mon montr* n n'ai n'est n'etant n'hesit* n'import* n'y nature navre* ne necessair*
    nom* non normes nos notre nous nu* obje* offens* offr* on ont openai ou ouvrir par parce
    pardon part* pas permet* permis person* peu peut peux photo* plaisir plus point politesse
    politiqu* poss* potentiel* pour pourr* pouv* prefer* present* prie principe* prive*
    probleme* proced* produi* program* propos* protec* proteg* public* puis qu qu'elle* qu'ia
    qu'il* qu'un qu'une qualite que quel* question* qui quoi raison* realis* reconn* recu
    reformul* refus* regard* regl* regrett* regulat* relat* repon* repos* requet* respect*
    restrict* revel* rien s s'agit s'il sa sais sans satisf* savoir se secur* selon sensible*
    serai* service* ses seul* sexuel* si sincerement soit sommes son sont souhait* sous suis
    suj* sur t t'aid* t'assist* t'en ta tache taches tant te tel* tes tous tout toute* traite*
    tres tu type* un une util* vais ver* veui* vie viol* visage* visualiser visuel* voir vois
    voit vos votre voudr* voulez vouloir vous y
    """,
)

_DE_DO = (
    r"(?:bearbeit|helf|weiterhelf|beschreib|beschrieb|identifizier|unterstutz|bereitstell|verarbeit|analysier|seh|anseh|interpretier|erfull"
    r"|beantwort|antwort|erkenn|fortfahr|geb|macht?\b|machen|tun|erstell|zugreif|anzeig|bewert|offn|nenn|nachkomm"
    r"|behilflich|dienen|liefern|anbiet|entsprech|aussern|auskunft|teilnehm)"
)
GERMAN = Vocabulary(
    cores=(
        rf"(?:kann|konnen|konnte|darf|durfen|mochte|werde|will|muss|soll)\b(?: \w+){{0,9}}? (?:nicht|nichts|niemand\w*|kein\w*|leider)\b"
        rf"(?: \w+){{0,9}}? ?\b(?:\w*){_DE_DO}",
        r"(?:kann|darf|mochte|werde) (?:ich )?(?:\w+ ){0,4}?(?:nicht|leider nicht)(?: (?:tun|machen|helfen))?$",
        rf"(?:nicht|leider nicht|ausserstande|ausser stande)(?: \w+){{0,2}}? "
        rf"(?:in der lage|moglich|imstande|befugt|berechtigt|fahig|erlaubt|gestattet|ausserstande)(?: \w+){{0,9}}? ?\w*{_DE_DO}",
        r"(?:nicht|leider nicht) (?:\w+ )?(?:in der lage|moglich|imstande)(?: \w+){0,9}?",
        r"(?:sehe|erhalten|bekommen|angehangt|habe)(?: \w+){0,3}? (?:kein\w*|nicht)",
        r"kein\w* bild\w*(?: \w+)? (?:seh|erhalt|bekomm|angehangt|hochgeladen)\w*",
        r"(?:muss|mochte|werde)(?: \w+){0,5}? (?:ablehnen|verweigern)",
        r"(?:ich )?(?:lehne|verweigere)(?: \w+){0,6}",
        r"(?:gegen|verstosst|verletzt|widerspricht)(?: \w+){0,2}? (?:richtlinien?|regeln|bedingungen|grundsatze\w*|vorgaben)",
    ),
    about_the_picture=r"(?:erkenn\w*|identifizier\w*|sehen|bestimm\w*) (?:genau )?(?:was|ob|welch\w*|wie)\b",
    words="""
    ab abbild* aber ableh* alle* allgemein* als alternativ* am an analys* ander* anfrage* angeb*
    angehang* anhang* anliegen anseh* anstoss* antwort* anweis* anzeig* arbeit* art auch auf
    aufforder* aufgabe* aufgrund aus auskunft* ausser aussern ausserstande beantwort* bearbeit*
    bedau* bedingung* befugt* behilflich bei bekannt* bekomm* benotig* berechtig* bereit*
    beschreib* besproch* bestimm* bewert* beziehungsweise bezug bild bilde* bin biomet* bitte
    brauch* da dabei dafur daher damit danke* daran darauf darf darstell* daruber das dass
    datei* daten datenschutz* davon dazu dein* dem den denen denn der deren des deshalb details
    dich die dies* dir direkt doch du durch durf* eben eigen* ein eine* einig* einzel* enthalt*
    entschuldig* entsprech* entwickl* er erfull* erhalt* erkenn* erklar* erlaub* erstell* es
    ethisch* etwas euch euer explizit* fahig* fall falls form fort* foto* frag* freundlich*
    freut fuhl* funktion* fur ganz* geb* geeignet* gegen gehen gemass gern* gesicht* gesproch*
    gestattet gestell* gewalt* gib grund* hab* hass* hat hatt* helf* heraus hier hilf* hinblick
    hochgelad* hoffe hoffentlich ich identi* ihm ihn* ihr* im immer imstande in indem individu*
    info inform* inhalt* ins interpret* irgend* ist ja jed* jegliche* jemand* kann kein* ki
    konkret* konn* kontext kunstlich* lage lass* lehne leid leider leist* lieber liefer* mach*
    mag mehr mein* melde* mich minderjahr* mir mit moch* modell* moglich* moment muss* nach
    nachkomm* nackt* nahme name* natur nein nenn* nicht nichts niemand niemanden noch nochmals
    notig* nun nur nutz* ob oder offensiv* offentlich* offn* openai person* potenziell* privat*
    problem* programmier* rat recht* regel* richtlinie* sache* sag* schad* schutz* seh* sein*
    selbst sensibl* sexuell* sich sicher* sie sind so sobald solch* soll* sondern sonst* sowie
    spezi* sprach* statt stelle stellen tatsachlich teilnehm* them* tun tut tut's um un
    unangemess* und ungeeignet* unmoglich* uns unser* unter unterstutz* urheber* verarbeit*
    verbot* verfug* verletz* vermeid* verstand* versteh* verstoss* versuch* verweiger*
    vielleicht visuell* vom von vor vorgab* vorlieg* war waren was wegen weil weit* wenden wenn
    wer werd* wid* wie will wir wird wiss* wo wofur wunsch* wurd* zeig* zu zugreif* zulass* zum
    zur zuruck* zusatz* zustimm* zwar
    """,
)

_IT_DO = (
    r"(?:\w+ ){0,2}?(?:aiut|descriv|identific|assist|forni|elabor|process|analizz|veder|visualizz|rispond|soddisf|esegu|far[el]"
    r"|offr|interpret|riconosc|continu|complet|dar\b|dart|dare\b|comment|partecip|condivid|esamin|gener|acced|mostr|valut|aprir|dir[et]|nomin"
    r"|procedere|accoglier|prosegu|adempi)"
)
ITALIAN = Vocabulary(
    cores=(
        rf"non (?:\w+ )?(?:posso|possiamo|potrei|potro|riesco a|sono in grado di|sono autorizzat[oa] a|mi e possibile"
        rf"|e possibile|mi e permesso|mi e consentito|sono capace di|ho la (?:capacita|possibilita) di|ho il permesso di"
        rf"|devo|intendo|sono (?:progettat[oa]|programmat[oa]|addestrat[oa]) per|mi sento a mio agio) (?:a )?{_IT_DO}",
        r"non (?:\w+ )?(?:posso|riesco|mi e possibile|e possibile)(?: farlo)?$",
        rf"(?:sono )?(?:incapace di|impossibilitat[oa] a|impossibile) {_IT_DO}",
        r"non (?:\w+ )?(?:vedo|ho accesso|ho ricevuto|c'e (?:alcuna|nessuna))\b",
        r"(?:devo|preferisco) (?:\w+ )?(?:rifiutare|rifiutarmi|declinare|astenermi)",
        r"(?:rifiuto|declino|mi rifiuto) ",
        r"(?:contro|viola|violano|contrari[oae]) (?:alle |le |ai |i |la |alla )?(?:mie |nostre |miei )?"
        r"(?:politiche|norme|linee guida|regole|termini|principi)",
    ),
    about_the_picture=r"(?:identific\w*|riconosc\w*|determin\w*|vedere|dire) (?:esattamente )?(?:che cosa|cosa|quale|come|se)\b",
    words="""
    a acced* accesso accett* accogli* ad adatt* addestrat* adeguat* adempi* aggiunt* agio ai
    aiut* al alcun* all all'immagine alla alle allegat* allo altern* altr* anal* anche
    appropriat* aprir* argoment* artificiale aspett* assist* assolut* assum* asten* attual*
    autorizz* avere avess* bas* ben benche bisogn* c c'e capac* capit* caric* caso cercare che
    chi chied* chiest* ci cio coinvol* com* con concern* condiv* conferm* conform* consent*
    consider* consult* contatt* conten* contest* continu* contr* cosa cose cosi da dai dal dall
    dalla dalle danneg* danno dar* dati de decl* degli dei del dell'identita dell'immagine
    dell'individuo dell'utente delle dello descri* desider* dett* deve devo di dirett* diritt*
    discut* dispia* dispos* divers* divulg* dobbiamo domand* dove dovrei due e ed effett*
    elabor* esamin* esegu* esempi* espl* essere est* etic* evit* facial* fare farlo fatt* favor*
    file fin* forni* foto* funzion* fuori gener* gent* gia gli grad* grat* grazie guid* ha hai
    ho i ia identi* il illegal* immag* impossib* in inadatt* inadegu* inappropriat* incapac*
    includ* indic* individu* infor* intelligenza intend* interpret* invec* inviat* invito io
    istruzion* l la lamento* le legal* legg* lei li limit* line* linguag* linguistic* lo ma
    maggior* mai mancan* material* me meglio menzion* mi mia* mie* minor* mio modell* modo
    momento mostr* motiv* natura ne necess* negl* nei nel nell'immagine nella nelle nessun*
    niente no nom* non norm* nostr* nud* o od odio offens* offr* oggett* ogni openai oppure
    opzion* part* pens* per perche perdon* permess* permett* pero person* pertin* piacer* piu po
    poich* politic* poss* potenzial* poter* potre* potuto prefer* prego present* priv* problem*
    proced* process* prodott* progett* program* proib* promuov* prosegu* prote* pubblic* puo
    puoi purtroppo qualch* qualcos* qualcun* quale quali qualsiasi quand* quant* quel* quest*
    regol* relativ* restriz* ricev* richi* riconosc* rifer* rifiut* riguard* rilev* rimang*
    rimuov* rispett* rispond* rispost* riveder* rivel* s sapere sar* scus* se sei semp* sens*
    senti* sento servizi* sessual* si sia siamo sicur* simil* soddisf* solo sono sott* specific*
    spia* spieg* sto su sua* sue sugger* sul sull'identita sull'immagine sulla sulle suo* tal*
    te tem* term* ti tip* tratt* trov* tua* tue tuo* tutt* un una uno usare uso utent* util* va
    valut* veder* vedo version* vi vietat* viol* visiv* viso visualizz* voi vol* vorr* vostr*
    vuoi
    """,
)

LANGUAGES = (ENGLISH, SPANISH, PORTUGUESE, FRENCH, GERMAN, ITALIAN)
