"""The refusals in Italian. Data only."""

from connectors.models.refusal_words.vocabulary import PICTURE, Vocabulary

_DO = (
    r"(?:(?!veder|legger)\w+ ){0,2}?(?:aiut|descriv|identific|assist|forni|elabor"
    r"|process|analizz|visualizz|rispond|soddisf|esegu|far[el]|offr|interpret|riconosc"
    r"|continu|complet|dar\b|dart|dare\b|comment|partecip|condivid|esamin|gener|acced"
    r"|mostr|valut|aprir|dir[et]|nomin|procedere|accoglier|prosegu|adempi"
    rf"|rivel|divulg|veder(?:e|la|le|lo) ?(?:{PICTURE}|$)|legger\w+ (?:documenti|dati"
    rf"|informazioni personali)"
    r"|(?:determinare|sapere|confermare) (?:chi\b|l'identita))"
)
ITALIAN = Vocabulary(
    cores=(
        rf"non (?:\w+ )?(?:posso|possiamo|potrei|potro|riesco a|sono in grado di|sono "
        rf"autorizzat[oa] a|mi e possibile|e possibile|mi e permesso|mi e consentito"
        rf"|sono capace di|ho la (?:capacita|possibilita) di|ho il permesso di|devo"
        rf"|intendo|sono (?:progettat[oa]|programmat[oa]|addestrat[oa]) per|mi sento a "
        rf"mio agio) (?:a )?{_DO}",
        r"non (?:\w+ )?(?:posso|riesco|mi e possibile|e possibile)(?: farlo)?$",
        rf"(?:incapace di|impossibilitat[oa] a|impossibile|preferisco non) {_DO}",
        rf"non (?:\w+ )?(?:vedo|ho accesso|ho ricevuto|c'e) {PICTURE}",
        r"non so chi (?:e|sia|sono)\b|temo di non (?:poter\w*|essere in grado)",
        r"(?:mie|nostre|le) (?:linee guida|norme|regole|politiche) (?:\w+ |d'\w+ "
        r"){0,2}?(?:non (?:mi |ci )?(?:permett|consent)ono|mi impediscono)",
        r"(?:rifiutat|respint|bloccat)\w* (?:dal|dalla|dai|dalle) (?:\w+ )?(?:sistema"
        r"|politic\w+|filtr[oi])",
        r"(?:devo|preferisco) (?:\w+ )?(?:rifiutare|rifiutarmi|declinare|astenermi)"
        r"|(?:rifiuto|declino|mi rifiuto) ",
        r"(?:contro|viola|violano|contrari[oae]) (?:alle |le |ai |i |la |alla )?(?:mie "
        r"|nostre |miei |nostri )?(?:politiche|norme|linee guida|regole|termini"
        r"|principi)",
    ),
    about_the_picture=(
        r"(?:identific\w*|riconosc\w*|determin\w*|vedere|dire) (?:esattamente )?(?:che "
        r"cosa|cosa|quale|come|se)\b"
    ),
    offer=(
        r"(?:posso|potrei|vuoi che)(?: (?:aiutar\w*|ti|pero|a|nel)){0,3} (?:descriv\w*"
        r"|descrizione)(?: (?:di|del|della|dei|degli|la|il|lo|i|gli|le|e|o|altr[ie]"
        r"|abbigliamento|abiti|sfondo|scena|ambiente|dettagli|elementi|oggetti|colori"
        r"|aspetti|visivi|l'abbigliamento|l'ambiente))*\b"
    ),
    words="""
    a abbia acced* accesso accett* accogli* ad adatt* addestrat* adeguat* adempi*
    aggiunt* agio ai aiut* al alcun* all alla alle allegat* allo altern* altr* anal*
    anche appropriat* aprir* argoment* artificiale aspett* assist* assolut* assum*
    asten* attual* autorizz* aver avere avess* bas* ben benche bisogn* bloccat* c capac*
    capit* caric* caso cercare che chi chied* chiest* ci cio coinvol* com* con concern*
    condiv* conferm* conform* consent* consider* consult* contatt* conten* contest*
    continu* contr* conversazion* cosa cose cosi da dai dal dall dalla dalle dannos*
    dar* dati de decl* degli dei del della delle dello descri* desider* determin* dett*
    deve devo di dire dirett* diritt* discut* dispia* dispos* divers* divulg* dobbiamo
    document* domand* dove dovrei due e ed effett* elabor* esamin* esegu* esempi* espl*
    essere est* etic* evit* facial* fare farlo fatt* favor* file fin* forni* foto*
    funzion* fuori gener* gent* gia gli grad* grat* grazie guid* ha hai ho i ia identi*
    il illegal* immag* impediscono impossib* in inadatt* inadegu* inappropriat* incapac*
    includ* indic* individu* infor* intelligenza intend* interpret* invec* inviat*
    invito io istruzion* l la lamento* le legal* legg* lei li libera libero limit* line*
    linguag* linguistic* lo ma maggior* mai mancan* material* me meglio menzion* mi mia*
    mie* minor* mio modell* modo molto momento mostr* motiv* natura ne necess* negl* nei
    nel nella nelle nessun* niente no nom* non norm* nostr* nud* o od odio offens* offr*
    oggett* ogni openai oppure opzion* part* pens* per perche perdon* permess* permett*
    pero person* pertin* piacer* piu po poich* politic* poss* potenzial* poter* potre*
    potuto prefer* prego present* priv* proced* process* prodott* progett* program*
    proib* promuov* prosegu* prote* pubblic* puo puoi purtroppo qualch* qualcos*
    qualcun* quale quali qualsiasi quand* quant* quel* quest* real* regol* relativ*
    respint* restriz* ricev* richi* riconosc* riesco rifer* rifiut* riguard* rilev*
    rimang* rimuov* rispett* rispond* rispost* riveder* rivel* s sapere sar* scus* se
    sei semp* sens* senti* sento servizi* sessual* si sia siamo sicur* simil* sistema*
    so soddisf* solo sono sott* specific* spia* spieg* stata stato sto su sua* sue
    sugger* sui sul sulla sulle suo* tal* te tem* term* ti tip* tratt* trov* tua* tue
    tuo* tutt* un una uno usare uso utent* util* va valut* veder* vedo version* vi
    vietat* viol* visiv* viso visualizz* voi vol* vorr* vostr* vuoi
    """,
)
