"""The refusals in French. Data only."""

from connectors.models.refusal_words.vocabulary import PICTURE, Vocabulary

_DO = (
    r"(?:(?!voir |lire )\w+ ){0,2}?(?:aider|decri|identifi|assist|fourni|traiter|analys"
    r"|visualis|repond|satisf|realis|faire|offr|interpret|reconnai|continu|complet"
    r"|donner|comment|particip|partag|examin|gener|acced|montr|evalu|ouvrir|nommer"
    r"|dire\b|accomplir|executer|effectuer|proposer|acceder|apporter"
    rf"|reveler|divulguer|poursuivre|voir {PICTURE}|lire (?:des|les) (?:documents"
    rf"|donnees|informations personnelles)"
    r"|(?:determiner|savoir|confirmer) (?:qui\b|l'identite))"
)
FRENCH = Vocabulary(
    cores=(
        rf"(?:je )?ne (?:\w+ )?(?:peux|puis|pouvons|pourrai|pourrais|suis|sommes"
        rf"|dispose|vais|dois|n'ai)(?: pas| malheureusement pas| point)?(?: en mesure| "
        rf"capable| autorisee?| habilitee?| a l'aise| concue?| programmee?| de la "
        rf"capacite)?(?: de| d'| a| pour)? ?(?:\w+'|\w+ )?{_DO}",
        r"(?:je )?ne (?:\w+ )?(?:peux|puis)(?: malheureusement)? pas(?: le faire)?$",
        rf"n'ai pas (?:le droit|la capacite|la possibilite|l'autorisation) (?:de "
        rf"|d')(?:\w+'|\w+ )?{_DO}",
        rf"(?:il )?(?:ne m'est|n'est|m'est) (?:pas )?(?:malheureusement )?(?:pas "
        rf")?(?:possible|impossible|permis)(?: de| d')? ?(?:\w+'|\w+ )?{_DO}",
        rf"(?:suis )?(?:dans l'incapacite|incapable|l'impossibilite) (?:de|d') ?(?:\w+'"
        rf"|\w+ )?{_DO}",
        rf"(?:ne vois|n'ai (?:pas )?(?:acces|recu)|n'ai) {PICTURE}",
        r"ne sais pas qui\b|(?:peur|crains) de ne pas pouvoir",
        r"(?:mes|nos|les) (?:directives|regles|politiques|consignes|principes) (?:\w+ "
        r"|d'\w+ ){0,2}?(?:ne (?:me |m')?(?:permettent|autorisent) pas|ne m'autorisent "
        r"pas|m'empechent|m'interdisent)",
        r"(?:rejete|bloque|refuse)\w* par (?:\w+ )?(?:systeme|politique|filtre)",
        rf"prefere ne pas (?:\w+'|\w+ )?{_DO}",
        r"(?:dois|prefere) (?:\w+ )?(?:refuser|decliner|m'abstenir)\b|(?:je )?(?:refuse"
        r"|decline) ",
        r"(?:contre|contraire a|contraires a|enfreint|viole) (?:mes|aux|les|nos|la|a)? "
        r"?(?:\w+ )?(?:politiques?|regles|directives|conditions|principes|consignes)",
    ),
    about_the_picture=(
        r"(?:identif\w*|reconn\w*|determin\w*|voir|dire) (?:exactement )?(?:ce qu\w*"
        r"|quel\w*|comment|si)\b"
    ),
    offer=(
        r"(?:peux|pourrais|voulez vous que)(?: (?:vous|aider|aide|a|en)){0,3} "
        r"(?:decri\w*|description)(?: (?:de|du|des|la|le|les|et|ou|d'autres|autres"
        r"|vetements|fond|scene|decor|details|elements|objets|couleurs|aspects"
        r"|visuels))*\b"
    ),
    words="""
    a abord* abst* acced* accept* accomplir adequat* afin agit ai aid* aimerai* aise
    alternativ* analys* apport* approprie* apres artificielle assist* au aucun* aupres
    autoris* autre* aux avec avez avoir base besoin* bien bloque* ca capab* capacit* car
    cas ce cela celle* celui cert* ces cet cett* chos* ci comm* complet* comprehension
    comprend* concern* concu* condition* confident* confirm* conform* consign* conten*
    contex* continu* contraire* contre conversation* crains d da dans de decline* decri*
    demand* des descript* desol* determin* deux dire directive* discut* dispos* divulg*
    document* dois don* droit* du effect* egalement elle* empech* en encore enfrein*
    ensemble entendu envoy* es espere est et etant ete etes ethique* etre eux evalu*
    exam* excus* execut* exempl* explic* expliqu* facial* faciaux faire fait faut
    fichier* fonction* forme fourni* gener* habilit* haine* hesit* heureu* humain* ia
    ici ident* il* image* import* impossib* inappropri* incapa* inclu* indiqu* individu*
    infor* instruct* intellig* interdis* interpret* j je l la langage le legal* les
    leur* libre limit* lire lui ma mais malheureusement maniere* me mem* mentionn* merci
    mes mesure mettre mieux mineur* modele* moi moment mon montr* n nature navre* ne
    necessair* ni nom* non normes nos notre nous nu* obje* offens* offr* on ont openai
    origine ou ouvrir par parce pardon part* pas permet* permis person* peu peur peut
    peux photo* plaisir plus point politesse politiqu* poss* potentiel* pour pourr*
    poursuivre pouv* prefer* present* prie principe* prive* proced* produi* program*
    propos* protec* proteg* public* puis qu qualite que quel* question* qui quoi raison*
    realis* reconn* recu reformul* refus* regard* regl* regrett* regulat* rejete* relat*
    repon* repos* requet* respect* restrict* revel* rien s sa sais sans satisf* savoir
    se secur* selon sensible* serai* service* ses seul* sexuel* si sincerement soit
    sommes son sont souhait* sous suis suj* sur systeme* t ta tache taches tant te tel*
    tes tous tout toute* traite* tres tu type* un une util* vais ver* veui* vie viol*
    visage* visualiser visuel* voir vois voit vos votre voudr* voulez vouloir vous
    vraies vrais y
    """,
)
