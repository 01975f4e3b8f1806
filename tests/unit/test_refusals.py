"""What is a refusal and what is a description that begins with what the model cannot tell."""

from pathlib import Path

import pytest

from connectors.models.refusals import is_refusal

FIELD = Path(__file__).parents[1] / "field" / "refusal-by-first-words"


def lines(name: str) -> list[str]:
    return [line for line in (FIELD / name).read_text().splitlines() if line.strip()]


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
A sign says: I'm sorry, I can't help.
I can see a cat.
No puedo más, dice el cartel.
I cannot see whether it is a cat or a dog.
Unfortunately the screen of the phone is broken.
I'm sorry for your loss, says the card.
Lo siento en el alma, dice la tarjeta.
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
Mi dispiace, non riesco a leggere la data: è uno scontrino del supermercato.
I'm unable to identify the brand of the shoes.
I cannot read the serial number.
I can't tell who the person is; they wear a red jacket.
I'm unable to confirm the amount: the receipt is blurred.
Sorry, the picture is blurry: a dog on a sofa.
I can't identify the person. They are standing in front of a shop.
I am not able to identify who this is, but it is a man with a beard holding a keyboard.
A man holds a sign: “I can't help with that”.
The screenshot shows an error: “I'm sorry, but I can't assist with that request.”
Captura de un chat que dice «Lo siento, no puedo ayudar con eso».
No se puede identificar la marca; es un coche rojo.
No puedo ver la fecha en el ticket.
La foto muestra a una persona.
The image shows a person.
Das Bild zeigt eine Person, die ich nicht identifizieren kann, vor einem Haus.
Uma pessoa que não consigo identificar segura um telefone.
Une personne que je ne peux pas identifier tient un téléphone.
Una persona che non posso identificare tiene un telefono.
A red car.
El ticket dice: no puedo.
I don't see a price on the label.
No veo el precio en la etiqueta.
Não vejo a data no recibo.
Ich sehe kein Datum auf der Quittung.
Je ne vois pas le prix sur l'étiquette.
Non vedo il prezzo sull'etichetta.
I cannot make out the plate number.
I can't identify the plant.
No puedo identificar la planta.
Não consigo identificar a planta.
Je ne peux pas identifier la plante.
Ich kann die Pflanze nicht identifizieren.
Non riesco a identificare la pianta.
I'm sorry, I can't identify the person, but the receipt is for 45 EUR.
No puedo leer la letra pequeña; la etiqueta dice ACME 220 V.
Não posso descrever as letras pequenas; a etiqueta diz ACME 220 V.
Ich kann das Kleingedruckte nicht beschreiben; auf dem Etikett steht ACME 220 V.
Je ne peux pas décrire les petits caractères; l'étiquette indique ACME 220 V.
Non posso descrivere le scritte piccole; l'etichetta dice ACME 220 V.
Un perro pasea por un parque.
I can't make out the face; a child eats an ice cream.
I'm not able to identify the plant.
Can't help falling in love, says the poster.
No puedo distinguir la matrícula.
The person holds a help sign.
The image contains text that I cannot read.
I can't identify the model of the phone, but its screen is cracked.
No se distingue el rostro; lleva una camiseta azul.
Ich kann nicht erkennen, was das ist.
I cannot determine the amount.
No alcanzo a leer el total del ticket.
I can't see the bottom of the document.
I cannot identify the animal in the picture.
No puedo identificar el modelo del teléfono.
Je ne peux pas identifier le modèle de la voiture.
Ich kann das Modell des Autos nicht erkennen.
Non posso identificare il modello dell'auto.
Não posso identificar o modelo do carro.
A help page with the text: request declined.
La imagen muestra una persona; no puedo identificarla.
Screenshot: "Unable to process payment".
Error: cannot open file.
I can't identify the person in the photo, who wears a red cap.
No puedo ver bien la imagen, está borrosa.
A black image; I cannot see anything else.
""".strip().splitlines()


@pytest.mark.parametrize("text", [*lines("refusals.txt"), *REFUSALS])
def test_a_text_that_holds_nothing_but_a_refusal_is_a_refusal(text: str) -> None:
    assert is_refusal(text)


@pytest.mark.parametrize("text", ["", *lines("descriptions.txt"), *DESCRIPTIONS])
def test_a_text_that_says_anything_about_the_picture_is_a_description(text: str) -> None:
    assert not is_refusal(text)


@pytest.mark.parametrize("quote", ["**{}**", "“{}”", "«{}»", "> {}", "# {}", "`{}`", "  {}\n"])
def test_the_dress_of_a_refusal_changes_nothing(quote: str) -> None:
    assert is_refusal(quote.format("I’m sorry, but I can’t assist with that request."))


def test_a_long_text_is_not_read_as_a_refusal() -> None:
    assert not is_refusal("I can't help with that. " * 100)
