"""Refusals, and descriptions that begin with what the model cannot tell."""

from pathlib import Path

import pytest

from connectors.models.refusals import is_refusal

FIELD = Path(__file__).parents[1] / "field" / "refusal-by-first-words"


def lines(name: str) -> list[str]:
    return [line for line in (FIELD / name).read_text().splitlines() if line.strip()]


def cases(table: str) -> list[str]:
    return [case.strip() for line in table.strip().splitlines() for case in line.split(" | ")]


REFUSALS = """
I'm sorry, but I can’t help with that.
I cannot identify people.
I’m sorry. I can't assist with that.
I am sorry, but I'm unable to view this.
Unfortunately, I can't analyze this picture.
I won't be able to help with that
“I'm unable to describe it
I'm sorry, I can't help with identifying people in images.
I can't provide assistance with that request. If there's anything else, feel free to ask!
I'm sorry, but I can't identify or describe the person in this image. Let me know if I can help with anything else.
I'm not able to provide a description of this image as it may contain explicit content.
Sorry — I can’t discuss the identity of people in photos.
I'm really sorry, but I cannot assist with that.
_I can't assist with that request._
> I'm sorry, I can't assist with that.
"I'm sorry, but I'm not able to help with this request."
I’m not comfortable describing this image.
This request violates our content policy.
I must respectfully decline this request.
I'm afraid I'm unable to process this image.
As an AI language model, I am not able to view images.
As a large language model, I don't have the ability to see images.
I do not have the capability to view or interpret images.
My apologies, but I'm not allowed to describe people.
I won’t describe this image.
That's not something I can help with.
I can not help you with this.
Apologies, but I'm unable to comply with this request.
I'm unable to assist with this. Please upload another image.
I refuse to describe this picture.
I don't see any image attached. Please upload one.
I'd rather not describe this image.
I'm programmed not to identify people.
I don't feel comfortable describing this.
No image was provided.
I cannot fulfill this request.
I can't do that.
I’m just an AI and can’t help with that.
I'm unable to provide details about the individuals in this photograph due to privacy guidelines.
Lo siento, pero no puedo ayudar con eso.
Lo siento, no puedo describir esta imagen.
Lo lamento, pero no puedo describirla.
Lo siento, no me es posible.
No puedo identificar a las personas en la imagen.
Lo siento, pero no puedo identificar a la persona de la foto.
Disculpa, pero no puedo ayudarte con esa solicitud.
Lamentablemente, no puedo procesar esta imagen.
Como modelo de lenguaje, no puedo ver imágenes.
Como IA, no tengo la capacidad de ver imágenes.
No estoy autorizado a describir personas.
Me temo que no puedo asistirte con esa petición. ¿Hay algo más en lo que pueda ayudarte?
No me es posible describir esta fotografía porque infringe las políticas de contenido.
**Lo siento**, no puedo proporcionar una descripción de esta imagen.
Perdón, no puedo cumplir con esa solicitud.
No puedo ofrecer información sobre personas reales.
Debo rechazar esta solicitud.
No veo ninguna imagen.
No puedo hacerlo.
No puedo ayudarte con eso, pero puedo ayudarte con otra cosa.
No tengo permitido identificar personas por motivos de privacidad.
Disculpe, no puedo atender su solicitud.
Soy un modelo de lenguaje y no puedo procesar imágenes.
Desculpe, não posso ajudar.
Desculpe, mas não posso ajudar com isso.
Sinto muito, mas não consigo descrever esta imagem.
Infelizmente, não posso processar este pedido.
Lamento, mas não posso identificar pessoas em imagens.
Como modelo de linguagem, não consigo ver imagens.
Não posso fornecer uma descrição desta imagem.
Não me é possível descrever esta fotografia.
Peço desculpa, mas não posso ajudar com esse pedido. Posso ajudar com outra coisa?
Desculpa, não consigo ajudar-te com isso.
Não tenho permissão para identificar pessoas.
Devo recusar este pedido.
Não vejo nenhuma imagem.
Sinto muito, não posso ajudar com isso.
Desculpe, não posso atender a essa solicitação.
Eu não posso descrever esta imagem porque viola as políticas de conteúdo.
Como uma IA, não sou capaz de identificar pessoas.
Désolé, mais je ne peux pas vous aider.
Je suis désolé, mais je ne peux pas vous aider avec cela.
Je suis désolée, je ne peux pas décrire cette image.
Je ne peux pas identifier les personnes sur cette photo.
Désolé, je ne suis pas en mesure de décrire cette image.
Malheureusement, je ne peux pas répondre à cette demande.
Il ne m'est pas possible de décrire cette image.
En tant qu'IA, je ne peux pas voir les images.
Je ne peux pas t'aider avec ça.
Je regrette, mais je ne peux pas traiter cette demande.
Je dois refuser cette demande.
Je ne suis pas autorisé à décrire des personnes.
Je ne vois aucune image.
Je m'excuse, mais je ne peux pas fournir de description de cette image.
Désolé, je ne peux pas vous aider avec cette demande.
Je suis désolé, mais je ne suis pas capable d'identifier des personnes.
Je refuse de décrire cette image.
Navré, je ne peux pas faire cela.
Es tut mir leid, aber ich kann das nicht.
Es tut mir leid, aber ich kann dabei nicht helfen.
Es tut mir leid, aber ich kann dieses Bild nicht beschreiben.
Tut mir leid, ich kann Ihnen dabei nicht helfen.
Leider kann ich dieses Bild nicht beschreiben.
Ich kann keine Personen identifizieren.
Ich bin nicht in der Lage, dieses Bild zu beschreiben.
Entschuldigung, aber ich kann bei dieser Anfrage nicht helfen.
Als KI kann ich keine Bilder sehen.
Als Sprachmodell kann ich keine Bilder ansehen.
Ich darf keine Personen auf Bildern identifizieren.
Ich muss diese Anfrage ablehnen.
Das verstößt gegen unsere Richtlinien.
Ich sehe kein Bild.
Ich kann Ihnen bei dieser Anfrage leider nicht weiterhelfen.
Dabei kann ich leider nicht helfen.
Ich möchte dieses Bild nicht beschreiben.
Ich bin nicht befugt, Personen zu identifizieren.
Es ist mir nicht möglich, dieses Bild zu beschreiben.
Tut mir leid, dabei kann ich nicht helfen.
Mi dispiace, non posso.
Mi dispiace, ma non posso aiutarti con questa richiesta.
Mi dispiace, ma non posso descrivere questa immagine.
Purtroppo non posso identificare le persone nelle immagini.
Non sono in grado di descrivere questa immagine.
Spiacente, non posso fornire una descrizione dell'immagine.
In quanto IA, non posso vedere le immagini.
Non mi è possibile elaborare questa richiesta.
Non sono autorizzato a identificare persone.
Mi scuso, ma non posso assisterti con questo.
Devo rifiutare questa richiesta.
Non vedo alcuna immagine.
Mi dispiace, ma non posso aiutarti con questo.
Come modello linguistico, non posso vedere immagini.
Mi rifiuto di descrivere questa immagine.
Non posso soddisfare questa richiesta.
Chiedo scusa, ma non posso identificare le persone.
I'm sorry, but I can't process this request.
I cannot assist with identifying individuals in images.
Sorry, I am unable to help with that request at this time.
I’m sorry, but I can’t provide that information.
I apologize, but I'm not able to identify people based on their facial features.
I'm sorry, but I can't comment on the identity of the person in the picture.
I do not identify real people in images.
I don't identify people from images.
Sorry, I don't describe images of people.
I can't fulfil that request as it goes against our content policies.
I won't be able to assist you with this image.
It is not possible for me to describe this image.
I am just a text-based AI and cannot view pictures.
I'm unable to see or analyze images directly. Please describe the image to me.
I can't view images, but if you describe it to me I can help.
I'm sorry, I can't see images. If you describe what's in it, I'd be happy to help!
This content can't be described because it violates our usage policies.
I must refuse.
Sorry, no.
I can’t help with that one.
I'm sorry, but this image contains content I can't describe.
I'm sorry, but I can't describe this image as it appears to contain sensitive or explicit material.
For privacy reasons, I cannot identify anyone in this image.
Thank you for sharing, but I cannot analyze this image.
I'm not able to engage with this content.
Unable to process image.
Cannot describe this image.
Request declined.
Lo siento, no puedo.
No puedo responder a eso.
Lo siento, pero no me está permitido describir personas.
Lo siento, no estoy en capacidad de analizar imágenes.
No me es posible ayudarte con esta imagen.
Disculpa, no puedo ver imágenes. ¿Podrías describirla?
Como inteligencia artificial, no puedo identificar a personas reales.
Por motivos de privacidad, no puedo identificar a nadie en esta imagen.
Lo siento, pero no puedo describir el contenido de esta imagen porque parece contener material explícito.
Me temo que no puedo describir esta imagen.
Soy incapaz de describir esta imagen.
No puedo proporcionar detalles sobre la identidad de las personas.
Desculpe, não posso fazer isso.
Sinto muito, mas não posso fornecer essa informação.
Não sou capaz de analisar imagens.
Lamento, mas não consigo ajudar com esta imagem.
Não posso identificar ninguém nesta imagem.
Por questões de privacidade, não posso identificar pessoas.
Infelizmente não consigo ver a imagem. Poderia enviá-la novamente?
Je suis désolé, mais je ne peux pas répondre à cette demande.
Je suis désolé, je ne peux pas identifier les personnes dans les images.
Désolé, je n'ai pas la capacité de voir des images.
Je ne peux malheureusement pas vous aider.
Pour des raisons de confidentialité, je ne peux identifier personne sur cette image.
Excusez-moi, mais je ne peux pas analyser cette image.
Je n'ai pas le droit de décrire cette image.
En tant que modèle de langage, je ne peux pas visualiser d'images.
Es tut mir leid, ich kann diese Anfrage nicht bearbeiten.
Das kann ich leider nicht beantworten.
Ich kann Ihnen damit nicht helfen.
Leider darf ich keine Personen identifizieren.
Aus Datenschutzgründen kann ich niemanden auf diesem Bild identifizieren.
Ich bin leider nicht in der Lage, Bilder zu analysieren.
Als Sprachmodell bin ich nicht in der Lage, Bilder zu sehen.
Entschuldigung, das kann ich nicht tun.
Mi dispiace, non posso farlo.
Mi spiace, ma non sono in grado di analizzare le immagini.
Non posso rispondere a questa domanda.
Per motivi di privacy, non posso identificare nessuno in questa immagine.
Purtroppo non sono in grado di aiutarti.
Non posso aiutarti con questa immagine.
Sono spiacente, ma non posso descrivere questa immagine.
Non ho la possibilità di vedere immagini.
I'm sorry, but as an AI developed by OpenAI, I can't do that.
I'm sorry, I cannot identify real people from images, but I can describe the image if you'd like.
I am unable to describe the contents of this picture.
I cannot provide descriptions of minors.
I am not able to transcribe this.
I’m sorry, but I can’t continue with this.
""".strip().splitlines()

DESCRIPTIONS = """
A sign says: I'm sorry, I can't help. | I can see a cat. | No puedo más, dice el cartel. | I cannot see whether it is a cat or a dog.
Unfortunately the screen of the phone is broken. | I'm sorry for your loss, says the card. | Lo siento en el alma, dice la tarjeta.
I can't believe it's not butter, says the tub.
No puedo identificar a la persona, pero la imagen muestra un comprobante de transferencia de $5,000 MXN.
I can't identify the people in the photo. It shows a broken phone screen.
Lo siento, no puedo leer todo el texto, pero se ve una factura de 1.250 euros.
Desculpe, não consigo identificar a pessoa, mas a imagem mostra um comprovante de R$ 200.
Não consigo ler a data; o recibo é da Padaria Central.
Es tut mir leid, ich kann die Person nicht identifizieren, aber das Foto zeigt einen kaputten Bildschirm.
Ich kann die Marke nicht erkennen; auf dem Foto ist ein gebrochenes Kabel zu sehen.
Leider kann ich den Text nicht lesen, es ist eine Rechnung über 45 EUR.
Je ne peux pas identifier la personne, mais la photo montre un reçu de 45 euros.
Désolé, je ne peux pas lire la date ; le ticket indique un total de 12,50 €.
Non posso identificare la persona, ma la foto mostra una ricevuta da 45 euro.
Mi dispiace, non riesco a leggere la data: è uno scontrino del supermercato. | I'm unable to identify the brand of the shoes.
I cannot read the serial number. | I can't tell who the person is; they wear a red jacket.
I'm unable to confirm the amount: the receipt is blurred. | Sorry, the picture is blurry: a dog on a sofa.
I can't identify the person. They are standing in front of a shop.
I am not able to identify who this is, but it is a man with a beard holding a keyboard. | A man holds a sign: “I can't help with that”.
The screenshot shows an error: “I'm sorry, but I can't assist with that request.”
Captura de un chat que dice «Lo siento, no puedo ayudar con eso». | No se puede identificar la marca; es un coche rojo.
No puedo ver la fecha en el ticket. | La foto muestra a una persona. | The image shows a person.
Das Bild zeigt eine Person, die ich nicht identifizieren kann, vor einem Haus. | Uma pessoa que não consigo identificar segura um telefone.
Une personne que je ne peux pas identifier tient un téléphone. | Una persona che non posso identificare tiene un telefono. | A red car.
El ticket dice: no puedo. | I don't see a price on the label. | No veo el precio en la etiqueta. | Não vejo a data no recibo.
Ich sehe kein Datum auf der Quittung. | Je ne vois pas le prix sur l'étiquette. | Non vedo il prezzo sull'etichetta.
I cannot make out the plate number. | I can't identify the plant. | No puedo identificar la planta. | Não consigo identificar a planta.
Je ne peux pas identifier la plante. | Ich kann die Pflanze nicht identifizieren. | Non riesco a identificare la pianta.
I'm sorry, I can't identify the person, but the receipt is for 45 EUR. | No puedo leer la letra pequeña; la etiqueta dice ACME 220 V.
Não posso descrever as letras pequenas; a etiqueta diz ACME 220 V.
Ich kann das Kleingedruckte nicht beschreiben; auf dem Etikett steht ACME 220 V.
Je ne peux pas décrire les petits caractères; l'étiquette indique ACME 220 V.
Non posso descrivere le scritte piccole; l'etichetta dice ACME 220 V. | Un perro pasea por un parque.
I can't make out the face; a child eats an ice cream. | I'm not able to identify the plant. | Can't help falling in love, says the poster.
No puedo distinguir la matrícula. | The person holds a help sign. | The image contains text that I cannot read.
I can't identify the model of the phone, but its screen is cracked. | No se distingue el rostro; lleva una camiseta azul.
Ich kann nicht erkennen, was das ist. | I cannot determine the amount. | No alcanzo a leer el total del ticket.
I can't see the bottom of the document. | I cannot identify the animal in the picture. | No puedo identificar el modelo del teléfono.
Je ne peux pas identifier le modèle de la voiture. | Ich kann das Modell des Autos nicht erkennen.
Non posso identificare il modello dell'auto. | Não posso identificar o modelo do carro. | A help page with the text: request declined.
La imagen muestra una persona; no puedo identificarla. | Screenshot: "Unable to process payment". | Error: cannot open file.
I can't identify the person in the photo, who wears a red cap. | No puedo ver bien la imagen, está borrosa.
A black image; I cannot see anything else.
"""


# What a model says of faces, rules and safety, and what it offers instead.
MORE_REFUSALS = """
I can't help with identifying or describing people based on their appearance. | I appreciate your trust, but I must decline.
I cannot create or describe content of this nature. | Your request was rejected as a result of our safety system.
I'm unable to determine who this person is. | My guidelines prevent me from describing this image. | I do not assist with such content.
I'm going to have to pass on this one. | I cannot in good conscience describe this. | <p>I'm sorry, but I can't help with that.</p>
I am sorry but as an AI assistant I am not able to help you with this matter.
I’m sorry, but I can’t help with identifying individuals. If you need a description of the scene or other elements, let me know!
I'm unable to identify individuals, but I can describe the scene, clothing, or setting if you'd like.
I can’t identify people, but I can help describe the clothing, background, or other visual details. Would you like me to do that?
I'm unable to transcribe personal documents. | I'm sorry, I can't provide information from identity documents.
I'm sorry, but I can't read or extract personal information from IDs.
Sorry, I can't process images of identity documents for privacy reasons.
Lo siento, pero no puedo ayudar con esa solicitud. Si tienes otra imagen, no dudes en compartirla.
Esta imagen contiene contenido explícito y no puedo describirla. | Mis directrices no me permiten describir esta imagen.
Las políticas de uso me impiden describir esta imagen. | No puedo describir esta imagen porque contiene desnudez.
No me es posible ayudarle con esta petición; por favor, envíe otra imagen. | Su solicitud fue rechazada por nuestro sistema de seguridad.
No puedo decir quién es esa persona. | No sé quién es y no puedo identificar personas. | Lo siento, no puedo leer documentos de identidad.
Lo siento, pero no puedo proporcionar información de documentos personales. | Disculpe las molestias, pero no puedo describir la imagen.
Lo siento mucho, pero no soy capaz de describir esta imagen. | No pude procesar la imagen.
No se puede describir esta imagen por motivos de privacidad. | Prefiero no describir esta imagen. | Esto no es algo con lo que pueda ayudar.
Desculpe, mas não posso ajudar com essa solicitação. Se você tiver outra imagem, fique à vontade para compartilhá-la.
Desculpe, não posso identificar pessoas reais em imagens. | Esta imagem viola as nossas políticas de conteúdo.
As minhas diretrizes não me permitem descrever esta imagem. | Não posso dizer quem é essa pessoa. | Prefiro não descrever esta imagem.
O seu pedido foi rejeitado pelo nosso sistema de segurança. | Desculpa, não dá para ajudar com isso.
Je suis désolé, mais je ne peux pas identifier de vraies personnes sur des images.
En tant que modèle de langage, je ne peux pas voir ni interpréter des images. | Mes directives ne me permettent pas de décrire cette image.
Je préfère ne pas décrire cette image. | Votre demande a été rejetée par notre système de sécurité.
J’ai bien peur de ne pas pouvoir vous aider.
Es tut mir leid, aber dabei kann ich nicht helfen. Wenn Sie ein anderes Bild haben, teilen Sie es gerne.
Es tut mir leid, aber ich kann keine realen Personen auf Bildern identifizieren. | Dieses Bild verstößt gegen unsere Inhaltsrichtlinien.
Meine Richtlinien erlauben es mir nicht, dieses Bild zu beschreiben. | Ich kann nicht sagen, wer diese Person ist.
Ich fürchte, da kann ich nicht helfen. | Ihre Anfrage wurde von unserem Sicherheitssystem abgelehnt. | Entschuldige, das geht leider nicht.
Mi dispiace, ma non posso aiutarti con questa richiesta. Se hai un'altra immagine, sentiti libero di condividerla.
Mi dispiace, ma non posso identificare persone reali nelle immagini. | Grazie per aver condiviso l'immagine. Purtroppo non posso aiutarti.
Questa immagine viola le nostre norme sui contenuti. | Le mie linee guida non mi permettono di descrivere questa immagine.
Non posso dire chi è questa persona. | Preferisco non descrivere questa immagine. | Temo di non poterti aiutare.
La tua richiesta è stata rifiutata dal nostro sistema di sicurezza. | I can’t determine the identity of this person.
I'm sorry, but I cannot reveal the identity of the person in the image. | I can't make guesses about people's identity.
I cannot guess who this person is. | I'm not able to tell who is in this image. | Lo siento, no puedo continuar con esta conversación.
No puedo revelar la identidad de la persona. | Lo siento, no puedo determinar la identidad de las personas.
Não posso revelar a identidade da pessoa. | Não consigo determinar a identidade da pessoa.
Je ne peux pas révéler l'identité de la personne. | Je ne peux pas continuer cette conversation.
Ich kann die Identität der Person nicht preisgeben. | Ich kann dieses Gespräch nicht fortsetzen.
Non posso rivelare l'identità della persona. | Non posso continuare questa conversazione. | Non posso determinare l'identità delle persone.
I can't see the attached photo. Could you upload it again? | I didn't receive an image. | I can't determine who this is.
I cannot reveal who this person is. | I can't verify the identity of people. | Mi dispiace molto, non posso aiutarti.
I'm not able to identify real people, but I can describe the scene, clothing, or setting if you'd like.
My guidelines don't allow me to describe this image. | Our policies prohibit me from describing this.
<p>Sorry, I can&#39;t help with that.</p> | No veo ninguna foto. Por favor, envíala de nuevo.
No puedo identificar a personas, pero puedo describir la ropa o el fondo si quieres. | Lo siento mucho, no puedo ayudarte.
Prefiero no identificar a esta persona. | Não posso identificar pessoas, mas posso descrever a cena e as roupas.
Prefiro não identificar esta pessoa. | Je ne peux pas identifier les personnes, mais je peux décrire la scène ou les vêtements.
Je ne peux pas déterminer l'identité de cette personne.
Ich kann keine Personen identifizieren, aber ich kann die Kleidung und den Hintergrund beschreiben.
Ich kann nicht bestimmen, wer diese Person ist. | Meine Richtlinien verbieten es mir, dieses Bild zu beschreiben.
Non riesco a vedere l'immagine. | Non vedo l'immagine. | Non posso identificare le persone, ma posso descrivere l'abbigliamento e lo sfondo.
Non posso rivelare chi è questa persona.
"""

# What a picture does not show, and a refusal that stands in the picture, are descriptions.
ABSENCES_AND_QUOTATIONS = """
"You are not allowed to see this." | I can't see any text in this picture. | I don't see a face in this picture.
I can't see the person's face. | The person in the photo can't be identified because the face is not in view.
No veo ningún daño en la imagen. | No hay ninguna persona. | No veo la cara de la persona. | Não vejo nenhum dano na imagem.
Je ne vois pas le visage de la personne. | Ich sehe keinen Schaden auf dem Bild. | Ich sehe keine Person auf dem Bild.
Non vedo alcun danno nell'immagine. | I can't see any people in the image. | I don't see any text in the image.
No image is shown, only text. | No people are in the picture. I can't see any face. | I can't view the text in full.
The image is a text: "I can't help you with that". | "We're unable to process your request. Please contact support."
A person asks for help: "I can't open the file". | I can't open this file. What should I do?
A person who may not be identified is in view. | It may not display properly.
This is a privacy policy: "We will not share your personal information." | No veo personas en la foto. | No veo nada en la foto.
No recibí nada. | No veo problemas en la imagen. | Não vejo pessoas na foto. | Não vejo nada na imagem. | Não vejo danos na imagem.
Não recebi nada. | Não foi enviada nenhuma imagem da pessoa. | Je ne vois personne sur la photo. | Je ne vois rien sur l'image.
Je ne vois pas de problème sur la photo. | Ich sehe nichts auf dem Bild. | Ich sehe kein Gesicht. | Auf dem Bild sehe ich keine Personen.
Non vedo persone nella foto. | Non vedo niente nella foto. | Non vedo problemi nell'immagine. | Non ho ricevuto niente.
I cannot see any person in the photo. | I can't see anyone in the picture. | I can't identify the text in the image.
I can't see anything in the image. | You can't view this. | This account is private. You can't see its photos.
No puedo ver a la persona en la foto. | No puedo ver nada en la imagen. | No puedo identificar el daño en la imagen.
Não consigo ver a pessoa na foto. | Não consigo ver nada na imagem. | Não consigo identificar danos na imagem.
Não há nenhuma pessoa na imagem. | Não vejo problemas na imagem. | Je ne peux pas voir la personne sur la photo.
Je ne peux rien voir sur l'image. | Je ne vois aucune personne sur l'image. | Ich kann auf dem Bild keine Person sehen.
Ich kann auf dem Bild nichts erkennen. | Ich kann keine Person auf dem Bild erkennen. | Ich kann keine Schäden auf dem Bild erkennen.
Ich kann auf dem Foto niemanden sehen. | Auf dem Bild kann ich keine Personen sehen. | Ich sehe kein Problem auf dem Bild.
Ich sehe auf dem Bild keine Person. | Ich habe nichts erhalten. | Es ist nicht möglich, die Person zu sehen. | Non vedo nessuno nella foto.
Non vedo nessuna persona nella foto. | Non c'è nessuna persona nell'immagine. | The text 'I cannot help you'.
« Nous ne pouvons pas traiter votre demande. » | "No podemos procesar su solicitud." | „Wir können Ihre Anfrage nicht bearbeiten.“
"Non possiamo elaborare la tua richiesta." | "Não podemos processar o seu pedido." | I can't see this. | A person may not open this.
I can't identify the part. | Je ne peux pas identifier le document.
"""


@pytest.mark.parametrize("text", [*lines("refusals.txt"), *REFUSALS, *cases(MORE_REFUSALS)])
def test_a_text_that_holds_nothing_but_a_refusal_is_a_refusal(text: str) -> None:
    assert is_refusal(text)


@pytest.mark.parametrize(
    "text", ["", *lines("descriptions.txt"), *cases(DESCRIPTIONS), *cases(ABSENCES_AND_QUOTATIONS)]
)
def test_a_text_that_says_anything_about_the_picture_is_a_description(text: str) -> None:
    assert not is_refusal(text)


@pytest.mark.parametrize("quote", ["**{}**", "“{}”", "«{}»", "> {}", "# {}", "`{}`", "  {}\n"])
def test_the_dress_of_a_refusal_changes_nothing(quote: str) -> None:
    assert is_refusal(quote.format("I’m sorry, but I can’t assist with that request."))


def test_a_long_text_is_not_read_as_a_refusal() -> None:
    assert not is_refusal("I can't help with that. " * 100)
