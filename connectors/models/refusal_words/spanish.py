"""The refusals in Spanish. Data only."""

from connectors.models.refusal_words.vocabulary import PICTURE, Vocabulary

_DO = (
    r"(?:(?!ver |leer )\w+ ){0,2}?(?:ayud|describ|identific|asist|proporcion|proces"
    r"|analiz|verl[ao]s?\b|visualiz|respond|contest|cumpl|atend|realiz|hacer|hacerl"
    r"|ofrec|interpret|reconoc|continu|complet|facilit|dar\b|darte\b|brindar|coment"
    r"|particip|compart|examin|generar|acced|mostrar|revis|evaluar|abrir|nombr|decir"
    r"|satisf|complac"
    rf"|revelar|divulgar|ver {PICTURE}|leer (?:documentos|informacion personal|datos)"
    r"|(?:determinar|saber|confirmar) (?:quien|la identidad))"
)
SPANISH = Vocabulary(
    cores=(
        rf"no (?:me )?(?:puedo|podemos|podria|podre|pude|es posible|resulta posible"
        rf"|estoy autorizad[oa] (?:a|para)|estoy en (?:condiciones|capacidad|posicion) "
        rf"de|tengo permitido|tengo permiso para|tengo la capacidad (?:de|para)|soy "
        rf"capaz de|se me permite|esta permitido|voy a|debo|estoy disenad[oa] para"
        rf"|estoy programad[oa] para|cuento con la capacidad (?:de|para)|me siento "
        rf"comod[oa]) {_DO}",
        r"no (?:me )?(?:es posible|puedo|podemos)(?: (?:hacerlo|lo siento"
        r"|disculp\w*))?$",
        rf"(?:incapaz de|imposible|prefiero no) {_DO}",
        rf"no (?:\w+ )?(?:veo|tengo acceso|recibi\w*|ha[sy]?(?: (?:adjuntad"
        rf"|recibid)\w*)?|se (?:adjunt|recibi)\w*) {PICTURE}",
        r"no se puede (?:describir|procesar|analizar)|no se quien(?:es)? (?:es|son)|no "
        r"es algo con lo que pueda",
        r"(?:mis|nuestras|las) (?:directrices|normas|politicas|reglas|pautas) (?:de "
        r"\w+ )?(?:no (?:me |nos )?permiten|me impiden)",
        r"(?:rechazad|bloquead|denegad)\w* por (?:\w+ )?(?:sistema|politica|filtro)",
        r"(?:debo|tengo que|prefiero|he de) (?:\w+ )?(?:rechazar|negarme|declinar"
        r"|abstenerme|rehusar)",
        r"(?:^|(?<=siento )|(?<=pero )|(?<=yo ))rechazo |(?:declino|me niego a|me "
        r"abstengo de) ",
        r"(?:va en contra|en contra|contra|viola|infringe|incumple|fuera) (?:de "
        r")?(?:mis|las|nuestras|la|los|el)? ?(?:politicas?|normas|directrices|reglas"
        r"|terminos|principios|pautas)",
    ),
    about_the_picture=(
        r"(?:identific\w*|reconoc\w*|determin\w*|ver|decir) (?:exactamente )?(?:que"
        r"|cual|como|si)\b"
    ),
    offer=(
        r"(?:puedo|podria|quieres que)(?: (?:ayudar\w*|te|le|ayude|a|en|con|si)){0,3} "
        r"(?:describ\w*|descripcion)(?: (?:de|del|la|el|los|las|y|o|otr[oa]s|ropa|fondo"
        r"|escena|entorno|detalles|elementos|objetos|colores|aspectos|imagen|visuales"
        r"|general))*\b"
    ),
    words="""
    a abrir absten* acced* acept* acerca acuerdo adecuad* adicional* adjunt* agradec* ai
    al alg* alternativ* analic* analis* analiz* ante apropiad* aqui archiv* artificial
    asi asist* aspecto* asunto* atend* atentamente aunque autoriz* ayud* basad* bien
    bloquead* brind* capac* capaz cara caras caso comenta* como comod* comparti*
    complac* complet* comprend* compres* con concret* condicion* confirm* consult*
    conten* contest* context* contien* continu* contra contrari* conversacion* cosa*
    cual* cuando cuent* cuid* cumpl* cuyo* da dado dame danin* dar darte de deb* decir
    decirte declin* del demas denegad* derech* desafortunadamente describ* descripcion*
    desead* desear* deseas desee* desgraciadamente desnud* detall* determin* directri*
    disculp* disenad* disposicion distint* divulg* document* duda* dudes e el ella*
    ello* en encant* enfoc* entend* entiend* envia* envie es esa* ese* eso* especific*
    esta* este* esto* etic* evalu* examin* explicar* explicit* extra* facial* facilit*
    favor fin foto* fue fuera funcion* gener* gracias gustaria gusto ha haber hac* hag*
    han hay hazme he hubiera ia identi* ilegal* imagen* imagin* impiden imposib*
    inadecuad* inapropiad* incapa* inconvenien* incumpl* indebid* individu* infor*
    infring* inteligencia interpret* ir la lament* las le leer legal* lenguaje les ley*
    libertad libre limit* lo los mant* mas material me mejor mencion* menor* mi mirar
    mis mism* modelo* modo molestias momento mostr* motivo* mucho muy nada nadie
    naturaleza necesari* necesit* neg* ni niego ningun* no nombr* norma* nos nuestr*
    nuevo o objet* odio ofens* ofrec* opcion* openai otr* para parece parte* particip*
    pauta* pedid* pedir* pena perdon* permis* permit* pero persona* peticion* pid* poco
    pod* polit* ponerme por porque posib* potencial* prefier* pregunt* present*
    principio* privacidad privad* proces* program* prohib* promov* proporcion* protec*
    proteg* public* pude pued* que queda querer quien* quier* quisier* razon* real*
    rechaz* recibi* reconoc* referent* regla* rehus* relacion* respect* respond*
    respuesta* restric* revel* revis* rostro* saber satisf* se sea segur* sensible* ser
    servicio* servirte sexual* si sido siempre siente* siento sin sino sistema* sobre
    solicit* solo son soy su subid* suger* sus tal tales tampoco tarea* te tem* ten*
    tiene* tipo* tod* trata* tu tus u un una unas uno unos usar uso usted* util* va veo
    ver verl* version* viol* vista visual* voy y ya yo
    """,
)
