"""The vocabulary of refusals in each language. Data only, without accents and in lower case.

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
    r"we|we're|we've|our|us|nosotros|nos|nuestr\w+|podemos|hemos|lamentamos|sentimos|noss\w+|conseguimos"
    r"|nous|notre|pouvons|regrettons|wir|uns|unser\w*|noi|nostr\w+|possiamo|siamo"
)
# A thing that the model cannot recognise, in all languages: it describes a poor picture.
UNCLEAR_THING = (
    r"(?:identif\w*|recogni\w*|reconoc\w*|reconhec\w*|reconna\w*|riconosc\w*|determin\w*|see|view|find) (?:(?:the|any|this|an?|el|la|los"
    r"|este|esta|una?|o|os|a|as|um|uma|le|les|ce|cette|il|lo|questo) |l')(?:texts?|document[eio]?s?|syst?em\w*|sistem\w*|part[es]*|types?"
    r"|tipo|materi\w+|obj\w+|oggett\w+|names?|nombres?|nomes?|nom)\b|(?:dokument|teil|objekt|system|text|name)\w* nicht (?:identif|erkenn)"
)
# The picture as the direct object of a verb, in all languages.
_PICTURE = (
    r"(?:(?:any|the|this|that|an?|your|or|to|and|actual|attached|analy[sz]e|interpret|process|describe|identify|recogni[sz]e|view|see"
    r"|l[aeo]s?|e[ln]|est?as?|es[as]+|ningun|ninguna|un[ae]?|tua?|sua?|ni|[aeo]s?|direct\w+|diret\w+|interpret\w+|anali\w+|proces\w+"
    r"|describir|descrever|identificar|nenhuma?|ao|nem|ou|pas|des?|aucune?|cette|votre|traiter|les|alcuna|nessuna|questa|quella|il"
    r"|alle|alla|ne|elaborare) |(?:[dl]|un|nessun|all|alcun|qu'une?)'){0,5}(?:images?|pictures?|photo(?:graph)?s?|files?"
    r"|attachments?|imagen|imagenes|imagem|imagens|fotos?|fotografi[ae]s?|a[rq]\w*ivos?|adjuntos?|anexos?|photographies?"
    r"|fichiers?|immagin[ei]|allegat[oi]|(?:bild|foto|datei|anhang|aufnahme)\w*)\b(?! (?:of|d[aeio]|del|della|d'\w+) )"
)
_EN_UNABLE = (
    r"(?<!you )(?<!you are )(?<!they )(?<!they are )(?:can't|cannot|can not|cant|couldn't|could not|unable to"
    r"|not able to|won't(?: be able to)?|will not(?: be able to)?|not allowed to|not permitted to|not authori[sz]ed to|not comfortable"
    r"|not capable of|incapable of|must decline(?: to)?|have to decline(?: to)?|need to decline(?: to)?"
    r"|decline to|refuse to|not going to|not designed to|not equipped to|not programmed to|not trained to"
    r"|(?:don't|do not) have the (?:ability|capability|capacity|means) to"
    r"|(?:i|we|model|assistant) (?:\w+ )?(?:may not|should not|shouldn't)"
    r"|not possible(?: for me)? to|not appropriate(?: for me)? to|not in a position to)"
)
_EN_DO = (
    r"(?:in good conscience |(?:(?!be |see |view |find |read |make |tell )\w+ ){0,2}?)"
    r"(?:assist|help|describ|identif|provid|compl|process|analy[sz]|interpret|fulfil"
    r"|answer|respond|discuss|engag|continu|support|recogni[sz]|generat|offer|access|perform|give|share|do\b|look at|comment"
    r"|accommodat|proceed|examin|evaluat|review|display|open (?:\w+ )?(?:image|picture|photo|attachment)|caption|transcrib|say\b|name\b"
    rf"|reveal|extract|creat|guess|make (?:guesses|identifications|assumptions)|(?:see|view) {_PICTURE}|view (?:this|it)$"
    r"|read (?:or extract )?(?:personal|private|sensitive|identity|identification|ids)\b"
    r"|(?:determin\w+|confirm|verif\w+|tell|know) (?:\w+ |\w+'s ){0,2}?(?:who|identit\w*)\b)"
)
ENGLISH = Vocabulary(
    cores=(
        rf"{_EN_UNABLE} {_EN_DO}",
        r"(?:must|have to|need to|will|'ll|i) (?:respectfully |politely )?(?:decline|refuse)\b",
        rf"(?:rather not|prefer not to|(?:programmed|designed|instructed|trained) not to) {_EN_DO}",
        rf"(?:don't|do not|didn't|did not|can't|cannot|unable to) (?:\w+ )?(?:see|receive|view|find|have access) {_PICTURE}",
        r"no (?:image|picture|photo|file)s? (?:(?:was|were|is|has been|have been) )?"
        r"(?:attached|provided|received|uploaded|included|sent|found)\b",
        r"\b(?:my|our|openai's|content|usage|safety) (?:\w+ )?(?:guidelines|polic(?:y|ies)|rules|programming|principles) "
        r"(?:\w+ )?(?:prevents?|prohibits?|forbids?|(?:don't|do not|doesn't|does not) (?:allow|permit))\b",
        r"(?:rejected|blocked|flagged|declined|denied) (?:as a result of|by|due to|because of) (?:\w+ ){0,2}?"
        r"(?:safety|content|moderation) (?:system|filter|polic|guideline)",
        r"don't feel comfortable|(?:request|this|it) (?:is|was|has been) (?:denied|declined|refused|not allowed)",
        r"(?:not something|nothing) (?:that )?i can",
        r"(?:don't|do not|doesn't|does not) (?:identify|describe|recogni[sz]e|analy[sz]e|comment|assist)\b",
        r"^(?:sorry|apologies) no$|(?:have|going) to pass on (?:this|that)|^request (?:declined|denied|refused)$",
        r"(?:can't|cannot|can not|unable to) be (?:described|processed|shown|analy[sz]ed)",
        r"(?:goes against|against|violates?|violating|breach(?:es)?|outside) (?:of )?(?:my|our|the|openai'?s?)?(?: \w+)? ?"
        r"(?:guidelines?|polic(?:y|ies)|rules|terms|principles|programming)",
    ),
    about_the_picture=r"(?:identif\w*|recogni\w*|determin\w*|see|tell) (?:exactly )?(?:what|whether|which|how)\b",
    offer=r"(?:i can|i could|happy to|glad to|if you need|would you like)(?: (?:help|still|also|try|to|you|provide|give"
    r"|offer|me|a)){0,4} (?:describ\w*|description|help|assist|details)(?: (?:with|the|of|an?|any|or|and|other|in|this|their|its"
    r"|image|photo|picture|visual|general|overall|details|clothing|background|scene|setting|elements|objects|colou?rs"
    r"|composition|mood|aspects|features|things|style))*\b",
    words="""
    a abilit* able about above accept* access* accommodat* account* ad additional adhere* adult
    advice afraid again against ai ai's all allow* alternative* always am an analy* and another
    answer* any anyone anything anyway apolog* appear appearance appears appreciate appropriate are
    as ask* aspect* assist* assumption* at attached attachment authori* avoid* base based be because
    been being below beyond biometric* blocked but by can can't cannot cant capab* capacit* caption*
    care case comfortable comment* compl* confirm* conscience consider* contact contain* content*
    context continue* conversation* could couldn't creat* currently d data decline* denied deny
    depict* describ* description* designed detail* determin* developed developer* didn't direct*
    disclos* discuss* display* do document* does doesn't don't due either else engag* ensur*
    equipped ethic* evaluat* exact* examin* example explain* explicit* express* extract* face faces
    facial features feedback feel file* filter* flagged follow* for forbid* format free from fulfil*
    full further general* generat* give* giving glad go goes going good graphic guess* guideline*
    had happy harm* hate* have having help* here hesitate hope how however i i'd i'll i'm i've
    ident* ids if illegal image* in inappropriate incapable included individual* info inform* input
    instead instruct* intend* interpret* into involv* is isn't it it's its just kind kindly know
    language large legal let like limit* ll look* lot m made make makes making material matter may
    me mean* might minor* model* moderation moment more must my myself name* nature necessary need*
    never no nor not nothing nude nudity of offens* offer* on one only open* or other others
    otherwise our over own part* pass people people's perform* permit* person person's personal*
    persons phot* picture* pleas* polic* polit* portray* position possib* potential* prefer present*
    prevent* principle* privacy private proceed* process* produc* program* prohibit* promot* prompt*
    properly protect* provid* public purpose* question* rather re read real really reason* receive*
    recogni* refrain* refus* regard* regret* regulat* reject* relat* repl* request* require*
    respect* respond* response* responsib* restrict* result reveal* review* right* rule* s safe* say
    see sensitive sent service* sexual* share* sharing should shouldn't shown similar since so some
    someone something sorry specific* such suggestive suitable support* sure system* t task* tell
    terms text text-based than thank* that that's the their them then there there's these they
    thing* this this's those though time to topic* train* transcribe transcribing trust try trying
    ts type* unable under understand* unfortunately unsafe until upload* us usage use user* ve
    verif* version very via view* violat* violen* visual* want was way we we're well were what
    what's whatever when where which while who whose why will willing wish with within without won't
    work would yes you you'd you'll you're your yourself
    """,
)

_ES_DO = (
    r"(?:(?!ver |leer )\w+ ){0,2}?(?:ayud|describ|identific|asist|proporcion|proces|analiz|verl[ao]s?\b|visualiz|respond"
    r"|contest|cumpl|atend|realiz|hacer|hacerl|ofrec|interpret|reconoc|continu|complet|facilit|dar\b|darte\b"
    r"|brindar|coment|particip|compart|examin|generar|acced|mostrar|revis|evaluar|abrir|nombr|decir|satisf|complac"
    rf"|revelar|divulgar|ver {_PICTURE}|leer (?:documentos|informacion personal|datos)"
    r"|(?:determinar|saber|confirmar) (?:quien|la identidad))"
)
SPANISH = Vocabulary(
    cores=(
        rf"no (?:me )?(?:puedo|podemos|podria|podre|pude|es posible|resulta posible|estoy autorizad[oa] (?:a|para)"
        rf"|estoy en (?:condiciones|capacidad|posicion) de|tengo permitido|tengo permiso para|tengo la capacidad (?:de|para)"
        rf"|soy capaz de|se me permite|esta permitido|voy a|debo|estoy disenad[oa] para|estoy programad[oa] para"
        rf"|cuento con la capacidad (?:de|para)|me siento comod[oa]) {_ES_DO}",
        r"no (?:me )?(?:es posible|puedo|podemos)(?: (?:hacerlo|lo siento|disculp\w*))?$",
        rf"(?:incapaz de|imposible|prefiero no) {_ES_DO}",
        rf"no (?:\w+ )?(?:veo|tengo acceso|recibi\w*|ha[sy]?(?: (?:adjuntad|recibid)\w*)?|se (?:adjunt|recibi)\w*) {_PICTURE}",
        r"no se puede (?:describir|procesar|analizar)|no se quien(?:es)? (?:es|son)|no es algo con lo que pueda",
        r"(?:mis|nuestras|las) (?:directrices|normas|politicas|reglas|pautas) (?:de \w+ )?(?:no (?:me |nos )?permiten|me impiden)",
        r"(?:rechazad|bloquead|denegad)\w* por (?:\w+ )?(?:sistema|politica|filtro)",
        r"(?:debo|tengo que|prefiero|he de) (?:\w+ )?(?:rechazar|negarme|declinar|abstenerme|rehusar)",
        r"(?:^|(?<=siento )|(?<=pero )|(?<=yo ))rechazo |(?:declino|me niego a|me abstengo de) ",
        r"(?:va en contra|en contra|contra|viola|infringe|incumple|fuera) (?:de )?(?:mis|las|nuestras|la|los|el)? ?"
        r"(?:politicas?|normas|directrices|reglas|terminos|principios|pautas)",
    ),
    about_the_picture=r"(?:identific\w*|reconoc\w*|determin\w*|ver|decir) (?:exactamente )?(?:que|cual|como|si)\b",
    offer=r"(?:puedo|podria|quieres que)(?: (?:ayudar\w*|te|le|ayude|a|en|con|si)){0,3} (?:describ\w*|descripcion)(?: (?:de|del|la|el"
    r"|los|las|y|o|otr[oa]s|ropa|fondo|escena|entorno|detalles|elementos|objetos|colores|aspectos|imagen|visuales|general))*\b",
    words="""
    a abrir absten* acced* acept* acerca acuerdo adecuad* adicional* adjunt* agradec* ai al alg*
    alternativ* analic* analis* analiz* ante apropiad* aqui archiv* artificial asi asist* aspecto*
    asunto* atend* atentamente aunque autoriz* ayud* basad* bien bloquead* brind* capac* capaz cara
    caras caso comenta* como comod* comparti* complac* complet* comprend* compres* con concret*
    condicion* confirm* consult* conten* contest* context* contien* continu* contra contrari*
    conversacion* cosa* cual* cuando cuent* cuid* cumpl* cuyo* da dado dame danin* dar darte de deb*
    decir decirte declin* del demas denegad* derech* desafortunadamente describ* descripcion*
    desead* desear* deseas desee* desgraciadamente desnud* detall* determin* directri* disculp*
    disenad* disposicion distint* divulg* document* duda* dudes e el ella* ello* en encant* enfoc*
    entend* entiend* envia* envie es esa* ese* eso* especific* esta* este* esto* etic* evalu*
    examin* explicar* explicit* extra* facial* facilit* favor fin foto* fue fuera funcion* gener*
    gracias gustaria gusto ha haber hac* hag* han hay hazme he hubiera ia identi* ilegal* imagen*
    imagin* impiden imposib* inadecuad* inapropiad* incapa* inconvenien* incumpl* indebid* individu*
    infor* infring* inteligencia interpret* ir la lament* las le leer legal* lenguaje les ley*
    libertad libre limit* lo los mant* mas material me mejor mencion* menor* mi mirar mis mism*
    modelo* modo molestias momento mostr* motivo* mucho muy nada nadie naturaleza necesari* necesit*
    neg* ni niego ningun* no nombr* norma* nos nuestr* nuevo o objet* odio ofens* ofrec* opcion*
    openai otr* para parece parte* particip* pauta* pedid* pedir* pena perdon* permis* permit* pero
    persona* peticion* pid* poco pod* polit* ponerme por porque posib* potencial* prefier* pregunt*
    present* principio* privacidad privad* proces* program* prohib* promov* proporcion* protec*
    proteg* public* pude pued* que queda querer quien* quier* quisier* razon* real* rechaz* recibi*
    reconoc* referent* regla* rehus* relacion* respect* respond* respuesta* restric* revel* revis*
    rostro* saber satisf* se sea segur* sensible* ser servicio* servirte sexual* si sido siempre
    siente* siento sin sino sistema* sobre solicit* solo son soy su subid* suger* sus tal tales
    tampoco tarea* te tem* ten* tiene* tipo* tod* trata* tu tus u un una unas uno unos usar uso
    usted* util* va veo ver verl* version* viol* vista visual* voy y ya yo
    """,
)

_PT_DO = (
    r"(?:(?!ver |ler )\w+ ){0,2}?(?:ajud|descrev|identific|assist|auxili|fornec|process|analis|ve la|visualiz|respond|cumpr"
    r"|atend|realiz|faz|ofere|interpret|reconhec|continu|complet|dar\b|coment|particip|compartilh|partilh|examin|ger|acess"
    rf"|mostr|revis|avali|abrir|nome|dizer|prosseg|satisf|revelar|divulgar|ver {_PICTURE}|ler (?:documentos|informacoes pessoais|dados)"
    r"|(?:determinar|saber|confirmar) (?:quem|a identidade))"
)
PORTUGUESE = Vocabulary(
    cores=(
        rf"nao (?:\w+ )?(?:posso|consigo|podemos|poderei|poderia|e possivel|estou autorizad[oa] a|sou capaz de"
        rf"|tenho permissao para|tenho (?:a )?capacidade (?:de|para)|me e permitido|vou|devo|estou apt[oa] a"
        rf"|me sinto confortavel|fui (?:projetad[oa]|treinad[oa]|programad[oa]) para) {_PT_DO}",
        r"nao (?:\w+ )?(?:posso|consigo|e possivel)(?: faze lo| fazer isso)?$",
        rf"(?:incapaz de|impossivel|prefiro nao) {_PT_DO}",
        rf"nao (?:\w+ )?(?:vejo|tenho acesso|recebi|ha|foi (?:anexad|enviad)\w*) {_PICTURE}",
        r"nao sei quem (?:e|sao)\b|nao da para (?:ajudar|descrever|processar)",
        r"(?:minhas|nossas|as) (?:diretrizes|normas|politicas|regras) (?:de \w+ )?(?:nao (?:me |nos )?permitem|me impedem)",
        r"(?:rejeitad|bloquead|recusad|negad)\w* (?:pel[oa]|por) (?:\w+ )?(?:sistema|politica|filtro)",
        r"(?:recuso me|me recuso|recuso|declino) |(?:devo|tenho (?:que|de)|preciso|prefiro) (?:\w+ )?(?:recusar|negar|declinar|me abster|abster me)",
        r"(?:contra|viola|infringe|fora) (?:d[ao]s? )?(?:as |os |a |o )?(?:minhas |nossas |meus |nossos )?"
        r"(?:politicas?|normas|diretrizes|regras|termos|principios)",
    ),
    about_the_picture=r"(?:identific\w*|reconhec\w*|determin\w*|ver|dizer) (?:exatamente )?(?:o que|qual|como|se)\b",
    offer=r"(?:posso|poderia|quer que)(?: (?:ajudar|te|lhe|ajude|a|em|com)){0,3} (?:descrev\w*|descricao)(?: (?:d[aeo]s?|[ao]s?|e|ou"
    r"|outr[oa]s|roupas?|fundo|cena|cenario|detalhes|elementos|objetos|cores|aspectos|imagem|visuais|geral))*\b",
    words="""
    a abaixo abrir abst* aceit* acess* acima acordo adequad* adicion* agradec* ai ainda ajud* alem
    algo alguem algum* alternativ* analis* anexad* ao aos apenas apropriad* apt* aqui arquivo*
    artificial as aspecto* assim assist* assunto* atend* atual* autoriz* auxili* avali* base basead*
    bem bloquead* capa* carreg* caso cert* cois* com coment* comigo como compartilh* complet*
    compree* conform* confortavel conhec* conseg* consider* consig* consult* conte* continu* contra
    convers* crit* cuid* cumpr* da dado dados dar das de declin* deix* dela* dele* demais descrev*
    descri* desculp* desej* dess* dest* detalh* determin* deve devo direit* diretri* disp* diss*
    diver* divulg* dizer do documento* dos duvida* e ela* ele* em embora encontr* entend* envia
    envia-la enviad* enviala enviar envie especific* ess* est* etic* eu evit* exam* exempl* explic*
    facial* facilit* falar fale favor faz* feliz fic* fim fique foi for foram forn* foto* fui fun*
    ger* gost* grat* ha hum* ia identi* ilegal* imagem imagens impedem imposs* inadequad*
    inapropriad* incapaz incomodo indic* individu* infelizmente infor* infring* inteligencia
    interpret* ir isso isto ja la lament* legal* ler lhe* lidar limit* linguagem lo mais manter mas
    material me melhor* mencion* menor* meu* mim minh* model* modo momento mostr* motivos muit* na
    nada nao nas natureza necess* neg* nem nenhum* ness* nest* ninguem no nome* norma* nos noss*
    novamente nud* o objet* obrigad* odi* ofens* ofere* opc* openai os ou outr* para parte*
    particip* partilh* peco pedid* pel* pen* perdao pergunt* permi* pess* pod* polit* por porque
    poss* potencial* precis* prefir* present* principio* privacidade privad* process* produz*
    program* proib* projet* promo* prossegu* prote* public* qual* quand* que quem quer* questao
    questoes quiser* razao razoes reais real* receb* reconhec* recus* refer* regra* rejeitad*
    relacion* respeit* respond* respost* restr* revel* revis* rosto* sao satisf* se segur* sei sej*
    sem sensiv* ser servic* seu* sexual* si sido sim sinto sistema* so sobre solicit* somente sou
    sua* sugest* tal* tamb* tant* taref* te tem tema* temos tenh* ter termo* teu* ti tipo* tiver
    tod* trat* trein* tu tua* um uma umas uns usar uso util* vai varias varios ve vejo ver versao
    viol* visual* voce* vontade vou
    """,
)

_FR_DO = (
    r"(?:(?!voir |lire )\w+ ){0,2}?(?:aider|decri|identifi|assist|fourni|traiter|analys|visualis|repond|satisf|realis|faire"
    r"|offr|interpret|reconnai|continu|complet|donner|comment|particip|partag|examin|gener|acced|montr|evalu|ouvrir"
    r"|nommer|dire\b|accomplir|executer|effectuer|proposer|acceder|apporter"
    rf"|reveler|divulguer|poursuivre|voir {_PICTURE}|lire (?:des|les) (?:documents|donnees|informations personnelles)"
    r"|(?:determiner|savoir|confirmer) (?:qui\b|l'identite))"
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
        rf"(?:ne vois|n'ai (?:pas )?(?:acces|recu)|n'ai) {_PICTURE}",
        r"ne sais pas qui\b|(?:peur|crains) de ne pas pouvoir",
        r"(?:mes|nos|les) (?:directives|regles|politiques|consignes|principes) (?:\w+ |d'\w+ ){0,2}?"
        r"(?:ne (?:me |m')?(?:permettent|autorisent) pas|ne m'autorisent pas|m'empechent|m'interdisent)",
        r"(?:rejete|bloque|refuse)\w* par (?:\w+ )?(?:systeme|politique|filtre)",
        rf"prefere ne pas (?:\w+'|\w+ )?{_FR_DO}",
        r"(?:dois|prefere) (?:\w+ )?(?:refuser|decliner|m'abstenir)\b|(?:je )?(?:refuse|decline) ",
        r"(?:contre|contraire a|contraires a|enfreint|viole) (?:mes|aux|les|nos|la|a)? ?(?:\w+ )?"
        r"(?:politiques?|regles|directives|conditions|principes|consignes)",
    ),
    about_the_picture=r"(?:identif\w*|reconn\w*|determin\w*|voir|dire) (?:exactement )?(?:ce qu\w*|quel\w*|comment|si)\b",
    offer=r"(?:peux|pourrais|voulez vous que)(?: (?:vous|aider|aide|a|en)){0,3} (?:decri\w*|description)(?: (?:de|du|des|la|le|les|et"
    r"|ou|d'autres|autres|vetements|fond|scene|decor|details|elements|objets|couleurs|aspects|visuels))*\b",
    words="""
    a abord* abst* acced* accept* accomplir adequat* afin agit ai aid* aimerai* aise alternativ*
    analys* apport* approprie* apres artificielle assist* au aucun* aupres autoris* autre* aux avec
    avez avoir base besoin* bien bloque* ca capab* capacit* car cas ce cela celle* celui cert* ces
    cet cett* chos* ci comm* complet* comprehension comprend* concern* concu* condition* confident*
    confirm* conform* consign* conten* contex* continu* contraire* contre conversation* crains d da
    dans de decline* decri* demand* des descript* desol* determin* deux dire directive* discut*
    dispos* divulg* document* dois don* droit* du effect* egalement elle* empech* en encore enfrein*
    ensemble entendu envoy* es espere est et etant ete etes ethique* etre eux evalu* exam* excus*
    execut* exempl* explic* expliqu* facial* faciaux faire fait faut fichier* fonction* forme
    fourni* gener* habilit* haine* hesit* heureu* humain* ia ici ident* il* image* import* impossib*
    inappropri* incapa* inclu* indiqu* individu* infor* instruct* intellig* interdis* interpret* j
    je l la langage le legal* les leur* libre limit* lire lui ma mais malheureusement maniere* me
    mem* mentionn* merci mes mesure mettre mieux mineur* modele* moi moment mon montr* n nature
    navre* ne necessair* ni nom* non normes nos notre nous nu* obje* offens* offr* on ont openai
    origine ou ouvrir par parce pardon part* pas permet* permis person* peu peur peut peux photo*
    plaisir plus point politesse politiqu* poss* potentiel* pour pourr* poursuivre pouv* prefer*
    present* prie principe* prive* proced* produi* program* propos* protec* proteg* public* puis qu
    qualite que quel* question* qui quoi raison* realis* reconn* recu reformul* refus* regard* regl*
    regrett* regulat* rejete* relat* repon* repos* requet* respect* restrict* revel* rien s sa sais
    sans satisf* savoir se secur* selon sensible* serai* service* ses seul* sexuel* si sincerement
    soit sommes son sont souhait* sous suis suj* sur systeme* t ta tache taches tant te tel* tes
    tous tout toute* traite* tres tu type* un une util* vais ver* veui* vie viol* visage* visualiser
    visuel* voir vois voit vos votre voudr* voulez vouloir vous vraies vrais y
    """,
)

_DE_DO = (
    r"(?:bearbeit|helf|weiterhelf|beschreib|beschrieb|identifizier|unterstutz|bereitstell|verarbeit|analysier|interpretier|erfull"
    r"|beantwort|antwort|fortfahr|fortsetz|preisgeb|offenleg|geb|macht?\b|machen|tun|erstell|zugreif|anzeig|bewert|offn|nenn|nachkomm"
    r"|behilflich|dienen|liefern|anbiet|entsprech|aussern|auskunft|teilnehm)"
)
GERMAN = Vocabulary(
    cores=(
        rf"(?:kann|konnen|konnte|darf|durfen|mochte|werde|will|muss|soll)\b(?: \w+){{0,9}}? (?:nicht|nichts|niemand\w*|kein\w*|leider)\b"
        rf"(?: \w+){{0,9}}? ?\b(?:\w*){_DE_DO}",
        r"(?:kann|darf|mochte|werde) (?:ich )?(?:\w+ ){0,4}?(?:nicht|leider nicht)(?: (?:tun|machen|helfen))?$",
        rf"(?:nicht|leider nicht|ausserstande|ausser stande)(?: \w+){{0,2}}? "
        rf"(?:in der lage|moglich|imstande|befugt|berechtigt|fahig|erlaubt|gestattet|ausserstande)(?: \w+){{0,9}}? ?\w*{_DE_DO}",
        rf"(?:sehe|erhalten|bekommen|angehangt|habe)(?: (?:ich|leider|hier|bisher)){{0,3}} kein\w* {_PICTURE}",
        rf"(?:sehe|kann|konnte)(?: (?:ich|leider)){{0,2}} (?:das|dieses|die|diese|ihr\w*|dein\w*) {_PICTURE} (?:leider )?nicht\b",
        rf"nicht (?:\w+ )?(?:in der lage|moglich|imstande) {_PICTURE} (?:\w+ ){{0,3}}?(?:zu sehen|anzusehen)",
        r"nicht (?:sagen|wissen|bestimmen|feststellen) wer\b|weiss(?: \w+)? nicht wer\b|(?:das|es) geht (?:leider )?nicht$",
        r"(?:meine|unsere|die) \w*richtlinien (?:erlauben|gestatten|verbieten)(?: (?:es|mir|uns)){0,2} (?:nicht|dies\w*|zu)?",
        r"(?:von|durch) (?:\w+ )?\w*(?:system|filter)\w* (?:abgelehnt|blockiert|zuruckgewiesen)",
        r"kein\w* bild\w*(?: \w+)? (?:seh|anseh|erhalt|bekomm|angehangt|hochgeladen)\w*",
        r"(?:muss|mochte|werde)(?: \w+){0,5}? (?:ablehnen|verweigern)|(?:lehne|verweigere)\b|nicht (?:in der lage|moglich|imstande)$",
        r"(?:gegen|verstosst|verletzt|widerspricht)(?: \w+){0,2}? (?:\w*richtlinien?|regeln|bedingungen|grundsatze\w*|vorgaben)",
    ),
    about_the_picture=r"(?:erkenn\w*|identifizier\w*|sehen|bestimm\w*) (?:genau )?(?:was|ob|welch\w*|wie)\b",
    offer=r"(?:kann|konnte|soll)(?: (?:aber|ich|ihnen|dir|gern\w*|helfen|dabei|bei|jedoch)){0,5}(?: (?:die|der|den|das|des|und|oder"
    r"|andere\w*|kleidung|hintergrund|szene|umgebung|details|elemente|objekte|farben|aspekte))+ (?:zu )?beschreiben\b",
    words="""
    ab abbild* aber abgelehnt* ableh* abzulehnen alle* allgemein* als alternativ* am an analys*
    ander* anfrage* angeb* angehang* anhang* anliegen anseh* anstoss* antwort* anweis* anzeig*
    anzusehen arbeit* art auch auf aufforder* aufgabe* aufgrund aus auskunft* ausser aussern
    ausserstande beantwort* bearbeit* bedau* bedingung* befugt* behilflich bei bekannt* bekomm*
    benotig* berechtig* bereit* beschreib* besproch* bestimm* bewert* beziehungsweise bezug bild
    bilde* bin biomet* bitte blockiert* brauch* da dabei dafur daher damit danke* daran darauf darf
    darstell* daruber das dass datei* daten datenschutz* davon dazu dein* dem den denen denn der
    deren des deshalb details dich die dies* dir direkt doch dokument* du durch durf* eben eigen*
    ein eine* einig* einzel* einzugehen enthalt* enthull* entschuldig* entsprech* entwickl* er
    erfull* erhalt* erkenn* erklar* erlaub* erstell* es ethisch* etwas euch euer explizit* fahig*
    fall falls feststell* form fort* foto* frag* freundlich* freut fuhl* funktion* fur furcht* ganz*
    geb* geeignet* gegen gehen geht gemass gern* gesicht* gesprach* gesproch* gestattet gestell*
    gewalt* gib grund* hab* hass* hat hatt* helf* heraus hier hilf* hinblick hochgelad* hoffe
    hoffentlich ich identi* ihm ihn* ihr* im immer imstande in indem individu* info inform* inhalt*
    ins interpret* irgend* ist ja jed* jegliche* jemand* kann kein* ki konkret* konn* kontext
    kunstlich* lage lass* lehne leid leider leist* lieber liefer* mach* mag mehr mein* melde* mich
    minderjahr* mir mit moch* modell* moglich* moment muss* nach nachkomm* nackt* nahme name* natur
    nein nenn* nicht nichts niemand niemanden noch nochmals notig* nun nur nutz* ob oder offenleg*
    offensiv* offentlich* offn* openai person* potenziell* preisgeb* privat* programmier* rat real*
    recht* regel* richtlinie* sache* sag* schadlich* schutz* seh* sein* selbst sensibl* sexuell*
    sich sicher* sie sind so sobald solch* soll* sondern sonst* sowie spezi* sprach* statt stelle
    stellen system* tatsachlich teilen them* tun tut tut's um un unangemess* und ungeeignet*
    unmoglich* uns unser* unter unterstutz* urheber* verarbeit* verbiet* verbot* verfug* verletz*
    vermeid* verstand* versteh* verstoss* versuch* verweiger* vielleicht visuell* vom von vor
    vorgab* vorlieg* war waren was wegen weil weiss weit* wenden wenn wer werd* wid* wie will wir
    wird wiss* wo wofur wunsch* wurd* zeig* zu zugreif* zulass* zum zur zuruck* zusatz* zustimm*
    zwar
    """,
)

_IT_DO = (
    r"(?:(?!veder|legger)\w+ ){0,2}?(?:aiut|descriv|identific|assist|forni|elabor|process|analizz|visualizz|rispond|soddisf|esegu|far[el]"
    r"|offr|interpret|riconosc|continu|complet|dar\b|dart|dare\b|comment|partecip|condivid|esamin|gener|acced|mostr|valut|aprir|dir[et]|nomin"
    r"|procedere|accoglier|prosegu|adempi"
    rf"|rivel|divulg|veder(?:e|la|le|lo) ?(?:{_PICTURE}|$)|legger\w+ (?:documenti|dati|informazioni personali)"
    r"|(?:determinare|sapere|confermare) (?:chi\b|l'identita))"
)
ITALIAN = Vocabulary(
    cores=(
        rf"non (?:\w+ )?(?:posso|possiamo|potrei|potro|riesco a|sono in grado di|sono autorizzat[oa] a|mi e possibile"
        rf"|e possibile|mi e permesso|mi e consentito|sono capace di|ho la (?:capacita|possibilita) di|ho il permesso di"
        rf"|devo|intendo|sono (?:progettat[oa]|programmat[oa]|addestrat[oa]) per|mi sento a mio agio) (?:a )?{_IT_DO}",
        r"non (?:\w+ )?(?:posso|riesco|mi e possibile|e possibile)(?: farlo)?$",
        rf"(?:incapace di|impossibilitat[oa] a|impossibile|preferisco non) {_IT_DO}",
        rf"non (?:\w+ )?(?:vedo|ho accesso|ho ricevuto|c'e) {_PICTURE}",
        r"non so chi (?:e|sia|sono)\b|temo di non (?:poter\w*|essere in grado)",
        r"(?:mie|nostre|le) (?:linee guida|norme|regole|politiche) (?:\w+ |d'\w+ ){0,2}?(?:non (?:mi |ci )?(?:permett|consent)ono|mi impediscono)",
        r"(?:rifiutat|respint|bloccat)\w* (?:dal|dalla|dai|dalle) (?:\w+ )?(?:sistema|politic\w+|filtr[oi])",
        r"(?:devo|preferisco) (?:\w+ )?(?:rifiutare|rifiutarmi|declinare|astenermi)|(?:rifiuto|declino|mi rifiuto) ",
        r"(?:contro|viola|violano|contrari[oae]) (?:alle |le |ai |i |la |alla )?(?:mie |nostre |miei |nostri )?"
        r"(?:politiche|norme|linee guida|regole|termini|principi)",
    ),
    about_the_picture=r"(?:identific\w*|riconosc\w*|determin\w*|vedere|dire) (?:esattamente )?(?:che cosa|cosa|quale|come|se)\b",
    offer=r"(?:posso|potrei|vuoi che)(?: (?:aiutar\w*|ti|pero|a|nel)){0,3} (?:descriv\w*|descrizione)(?: (?:di|del|della|dei|degli|la|il"
    r"|lo|i|gli|le|e|o|altr[ie]|abbigliamento|abiti|sfondo|scena|ambiente|dettagli|elementi|oggetti|colori|aspetti|visivi|l'abbigliamento|l'ambiente))*\b",
    words="""
    a abbia acced* accesso accett* accogli* ad adatt* addestrat* adeguat* adempi* aggiunt* agio ai
    aiut* al alcun* all alla alle allegat* allo altern* altr* anal* anche appropriat* aprir*
    argoment* artificiale aspett* assist* assolut* assum* asten* attual* autorizz* aver avere avess*
    bas* ben benche bisogn* bloccat* c capac* capit* caric* caso cercare che chi chied* chiest* ci
    cio coinvol* com* con concern* condiv* conferm* conform* consent* consider* consult* contatt*
    conten* contest* continu* contr* conversazion* cosa cose cosi da dai dal dall dalla dalle
    dannos* dar* dati de decl* degli dei del della delle dello descri* desider* determin* dett* deve
    devo di dire dirett* diritt* discut* dispia* dispos* divers* divulg* dobbiamo document* domand*
    dove dovrei due e ed effett* elabor* esamin* esegu* esempi* espl* essere est* etic* evit*
    facial* fare farlo fatt* favor* file fin* forni* foto* funzion* fuori gener* gent* gia gli grad*
    grat* grazie guid* ha hai ho i ia identi* il illegal* immag* impediscono impossib* in inadatt*
    inadegu* inappropriat* incapac* includ* indic* individu* infor* intelligenza intend* interpret*
    invec* inviat* invito io istruzion* l la lamento* le legal* legg* lei li libera libero limit*
    line* linguag* linguistic* lo ma maggior* mai mancan* material* me meglio menzion* mi mia* mie*
    minor* mio modell* modo molto momento mostr* motiv* natura ne necess* negl* nei nel nella nelle
    nessun* niente no nom* non norm* nostr* nud* o od odio offens* offr* oggett* ogni openai oppure
    opzion* part* pens* per perche perdon* permess* permett* pero person* pertin* piacer* piu po
    poich* politic* poss* potenzial* poter* potre* potuto prefer* prego present* priv* proced*
    process* prodott* progett* program* proib* promuov* prosegu* prote* pubblic* puo puoi purtroppo
    qualch* qualcos* qualcun* quale quali qualsiasi quand* quant* quel* quest* real* regol* relativ*
    respint* restriz* ricev* richi* riconosc* riesco rifer* rifiut* riguard* rilev* rimang* rimuov*
    rispett* rispond* rispost* riveder* rivel* s sapere sar* scus* se sei semp* sens* senti* sento
    servizi* sessual* si sia siamo sicur* simil* sistema* so soddisf* solo sono sott* specific*
    spia* spieg* stata stato sto su sua* sue sugger* sui sul sulla sulle suo* tal* te tem* term* ti
    tip* tratt* trov* tua* tue tuo* tutt* un una uno usare uso utent* util* va valut* veder* vedo
    version* vi vietat* viol* visiv* viso visualizz* voi vol* vorr* vostr* vuoi
    """,
)

LANGUAGES = (ENGLISH, SPANISH, PORTUGUESE, FRENCH, GERMAN, ITALIAN)
