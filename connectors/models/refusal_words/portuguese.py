"""The refusals in Portuguese. Data only."""

from connectors.models.refusal_words.vocabulary import PICTURE, Vocabulary

_DO = (
    r"(?:(?!ver |ler )\w+ ){0,2}?(?:ajud|descrev|identific|assist|auxili|fornec|process"
    r"|analis|ve la|visualiz|respond|cumpr|atend|realiz|faz|ofere|interpret|reconhec"
    r"|continu|complet|dar\b|coment|particip|compartilh|partilh|examin|ger|acess"
    rf"|mostr|revis|avali|abrir|nome|dizer|prosseg|satisf|revelar|divulgar|ver "
    rf"{PICTURE}|ler (?:documentos|informacoes pessoais|dados)"
    r"|(?:determinar|saber|confirmar) (?:quem|a identidade))"
)
PORTUGUESE = Vocabulary(
    cores=(
        rf"nao (?:\w+ )?(?:posso|consigo|podemos|poderei|poderia|e possivel|estou "
        rf"autorizad[oa] a|sou capaz de|tenho permissao para|tenho (?:a )?capacidade "
        rf"(?:de|para)|me e permitido|vou|devo|estou apt[oa] a|me sinto confortavel"
        rf"|fui (?:projetad[oa]|treinad[oa]|programad[oa]) para) {_DO}",
        r"nao (?:\w+ )?(?:posso|consigo|e possivel)(?: faze lo| fazer isso)?$",
        rf"(?:incapaz de|impossivel|prefiro nao) {_DO}",
        rf"nao (?:\w+ )?(?:vejo|tenho acesso|recebi|ha|foi (?:anexad|enviad)\w*) "
        rf"{PICTURE}",
        r"nao sei quem (?:e|sao)\b|nao da para (?:ajudar|descrever|processar)",
        r"(?:minhas|nossas|as) (?:diretrizes|normas|politicas|regras) (?:de \w+ "
        r")?(?:nao (?:me |nos )?permitem|me impedem)",
        r"(?:rejeitad|bloquead|recusad|negad)\w* (?:pel[oa]|por) (?:\w+ )?(?:sistema"
        r"|politica|filtro)",
        r"(?:recuso me|me recuso|recuso|declino) |(?:devo|tenho (?:que|de)|preciso"
        r"|prefiro) (?:\w+ )?(?:recusar|negar|declinar|me abster|abster me)",
        r"(?:contra|viola|infringe|fora) (?:d[ao]s? )?(?:as |os |a |o )?(?:minhas "
        r"|nossas |meus |nossos )?(?:politicas?|normas|diretrizes|regras|termos"
        r"|principios)",
    ),
    about_the_picture=(
        r"(?:identific\w*|reconhec\w*|determin\w*|ver|dizer) (?:exatamente )?(?:o que"
        r"|qual|como|se)\b"
    ),
    offer=(
        r"(?:posso|poderia|quer que)(?: (?:ajudar|te|lhe|ajude|a|em|com)){0,3} "
        r"(?:descrev\w*|descricao)(?: (?:d[aeo]s?|[ao]s?|e|ou|outr[oa]s|roupas?|fundo"
        r"|cena|cenario|detalhes|elementos|objetos|cores|aspectos|imagem|visuais"
        r"|geral))*\b"
    ),
    words="""
    a abaixo abrir abst* aceit* acess* acima acordo adequad* adicion* agradec* ai ainda
    ajud* alem algo alguem algum* alternativ* analis* anexad* ao aos apenas apropriad*
    apt* aqui arquivo* artificial as aspecto* assim assist* assunto* atend* atual*
    autoriz* auxili* avali* base basead* bem bloquead* capa* carreg* caso cert* cois*
    com coment* comigo como compartilh* complet* compree* conform* confortavel conhec*
    conseg* consider* consig* consult* conte* continu* contra convers* crit* cuid*
    cumpr* da dado dados dar das de declin* deix* dela* dele* demais descrev* descri*
    desculp* desej* dess* dest* detalh* determin* deve devo direit* diretri* disp* diss*
    diver* divulg* dizer do documento* dos duvida* e ela* ele* em embora encontr*
    entend* envia envia-la enviad* enviala enviar envie especific* ess* est* etic* eu
    evit* exam* exempl* explic* facial* facilit* falar fale favor faz* feliz fic* fim
    fique foi for foram forn* foto* fui fun* ger* gost* grat* ha hum* ia identi* ilegal*
    imagem imagens impedem imposs* inadequad* inapropriad* incapaz incomodo indic*
    individu* infelizmente infor* infring* inteligencia interpret* ir isso isto ja la
    lament* legal* ler lhe* lidar limit* linguagem lo mais manter mas material me
    melhor* mencion* menor* meu* mim minh* model* modo momento mostr* motivos muit* na
    nada nao nas natureza necess* neg* nem nenhum* ness* nest* ninguem no nome* norma*
    nos noss* novamente nud* o objet* obrigad* odi* ofens* ofere* opc* openai os ou
    outr* para parte* particip* partilh* peco pedid* pel* pen* perdao pergunt* permi*
    pess* pod* polit* por porque poss* potencial* precis* prefir* present* principio*
    privacidade privad* process* produz* program* proib* projet* promo* prossegu* prote*
    public* qual* quand* que quem quer* questao questoes quiser* razao razoes reais
    real* receb* reconhec* recus* refer* regra* rejeitad* relacion* respeit* respond*
    respost* restr* revel* revis* rosto* sao satisf* se segur* sei sej* sem sensiv* ser
    servic* seu* sexual* si sido sim sinto sistema* so sobre solicit* somente sou sua*
    sugest* tal* tamb* tant* taref* te tem tema* temos tenh* ter termo* teu* ti tipo*
    tiver tod* trat* trein* tu tua* um uma umas uns usar uso util* vai varias varios ve
    vejo ver versao viol* visual* voce* vontade vou
    """,
)
