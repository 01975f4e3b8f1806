"""The things that the naming model may name, in two languages.

Each is a group of ImageNet's 1,000 classes. A group is more certain than its classes: a
model that wavers between twelve breeds is sure that it is a dog. Classes that people do
not send in a chat, and those with misleading names, are in no group and are never
named.
"""

from typing import NamedTuple


class Thing(NamedTuple):
    english: str
    spanish: str
    classes: tuple[int, ...]


_TABLE = """
a fish | un pez | 0-6 389-397
a bird | un pájaro | 7-24 80-100 127-146
a frog | una rana | 30-32
a turtle | una tortuga | 33-37
a lizard | un lagarto | 38-48
a crocodile | un cocodrilo | 49-50
a snake | una serpiente | 52-68
a spider | una araña | 70-77
a snail | un caracol | 113
a crab or a lobster | un cangrejo o una langosta | 118-123
a kangaroo | un canguro | 104
a koala | un koala | 105
a dog | un perro | 151-268
a wolf | un lobo | 269-272
a fox | un zorro | 277-280
a cat | un gato | 281-285
a leopard | un leopardo | 288-290
a lion | un león | 291
a tiger | un tigre | 292
a bear | un oso | 294-297
an insect | un insecto | 300-320
a butterfly | una mariposa | 321-326
a rabbit | un conejo | 330-332
a hamster | un hámster | 333
a squirrel | una ardilla | 335
a guinea pig | una cobaya | 338
a horse | un caballo | 339
a zebra | una cebra | 340
a pig | un cerdo | 341-342
cattle | ganado vacuno | 345-346
a sheep | una oveja | 348-349
a camel | un camello | 354
a llama | una llama | 355
a monkey | un mono | 365-382
an elephant | un elefante | 385-386
a panda | un panda | 387-388
a guitar | una guitarra | 402 546
an airplane | un avión | 404 895
an ambulance | una ambulancia | 407
a clock | un reloj | 409 530 892
a wristwatch | un reloj de pulsera | 531
a trash can | un cubo de basura | 412
a gun | un arma | 413 763-764
a backpack | una mochila | 414
a bag | un bolso o una bolsa | 636 728 748 790
a wallet | una cartera | 893
a balloon | un globo | 417
a pen | un bolígrafo | 418 563
a ball | una pelota | 429-430 522 574 722 768 805 852 890
a bathtub | una bañera | 435
a car | un coche | 436 468 511 609 627 656 661 717 751 817
a car's dashboard meter | un cuentakilómetros | 685
a wheel | una rueda | 479
a bus | un autobús | 654 779 874
a truck | un camión | 555 569 675 864 867
a tractor or a harvester | un tractor o una cosechadora | 595 866
a motorcycle | una moto | 665 670
a bicycle | una bicicleta | 444 671
a train or a tram | un tren o un tranvía | 466 547 565 705 820 829
a boat | una barca | 472 484 554 576 625 724 780 814 871 914
a ship | un barco | 403 510 628
a rocket | un cohete | 657 744 812
a gas pump | un surtidor de gasolina | 571
a crane | una grúa | 517
beer | cerveza | 440-441
wine | vino | 907 966
a cup of coffee or tea | una taza de café o té | 504 967-968
a coffee pot or machine | una cafetera | 505 550
a bottle | una botella | 737 898
a pill bottle | un frasco de pastillas | 720
a syringe | una jeringuilla | 845
a stethoscope | un estetoscopio | 823
a crutch | una muleta | 523
shelves of books | estanterías con libros | 453-454 624
the cover of a book | la portada de un libro | 921
a comic | un cómic | 917
a crossword | un crucigrama | 918
a menu | una carta de restaurante | 922
a screenshot or a web page | una captura de pantalla o una página web | 916
an envelope | un sobre | 549
a box | una caja | 478 519
packaging | un envase | 692
an automated teller machine | un cajero automático | 480
a street sign | una señal de tráfico | 919
a traffic light | un semáforo | 920
a candle | una vela | 470
a castle or a palace | un castillo o un palacio | 483 698
a church | una iglesia | 497
a mosque | una mezquita | 668
a bridge | un puente | 821 839 888
a lighthouse | un faro | 437
a fountain | una fuente | 562
a fence | una valla | 489 716 912
a stone wall | un muro de piedra | 825
a window | una ventana | 904-905
a sliding door | una puerta corredera | 799
a computer | un ordenador | 527 620 681
a screen | una pantalla | 664 782 851
a keyboard | un teclado | 508 810 878
a computer mouse | un ratón de ordenador | 673
a telephone | un teléfono | 487 528 707
a camera | una cámara | 732 759
a printer or a copier | una impresora o una fotocopiadora | 713 742
a remote control | un mando a distancia | 761
a lamp | una lámpara | 619 846
a table | una mesa | 526 532
a sofa | un sofá | 831
a bed | una cama | 564
a cot | una cuna | 516 520
a chair | una silla | 423 559 765
a wardrobe or a cabinet | un armario | 493 495 894
a refrigerator | un frigorífico | 760
a washing machine | una lavadora | 897
a dishwasher | un lavavajillas | 534
a microwave oven | un microondas | 651
a stove | una cocina de fogones | 827
a toaster | una tostadora | 859
a vacuum cleaner | una aspiradora | 882
a fan | un ventilador | 545
a radiator | un radiador | 753
an electrical switch | un interruptor | 844
a clothes iron | una plancha | 606
a sewing machine | una máquina de coser | 786
a sink | un lavabo | 896
a toilet | un inodoro | 861
paper towels or toilet paper | papel de cocina o higiénico | 700 999
shoes | calzado | 502 514 630 770 774
a T-shirt | una camiseta | 610
a sweater | un jersey | 474 841
a suit or a tie | un traje o una corbata | 457 834 906
a dress | un vestido | 578
a coat | un abrigo | 568 869
jeans | unos vaqueros | 608
a hat | un sombrero | 515 808
sunglasses | unas gafas de sol | 836-837
a necklace | un collar | 679
an umbrella | un paraguas | 879
a teddy bear | un oso de peluche | 850
a hammer | un martillo | 587
a screwdriver | un destornillador | 784
a drill | un taladro | 740
a screw or a nail | un tornillo o un clavo | 677 783
a padlock | un candado | 695
a tent | una tienda de campaña | 672
a piano | un piano | 579 881
a violin or a cello | un violín o un violonchelo | 486 889
a drum | un tambor | 541
a trumpet or a trombone | una trompeta o un trombón | 513 875
a saxophone | un saxofón | 776
a microphone | un micrófono | 650
a loudspeaker | un altavoz | 632
a stage | un escenario | 819
a restaurant | un restaurante | 762
a shop | una tienda | 415 467 509 582 788 860 865
pizza | una pizza | 963
a hamburger | una hamburguesa | 933
a hot dog | un perrito caliente | 934
ice cream | helado | 928-929
bread | pan | 930-932
pasta | pasta | 959
a burrito | un burrito | 965
soup | sopa | 809 925-926
guacamole | guacamole | 924
a plate of food | un plato de comida | 923
vegetables | verduras | 936-946
mushrooms | setas | 947 991-997
fruit | fruta | 948-957
a flower | una flor | 985-986
corn | maíz | 987 998
a plant pot | una maceta | 738
a vase | un jarrón | 883
a beach | una playa | 978
a mountain | una montaña | 970
a lake | un lago | 975
a volcano | un volcán | 980
a coral reef | un arrecife de coral | 973
"""


def _classes(words: str) -> tuple[int, ...]:
    ranges = (word.partition("-") for word in words.split())
    return tuple(
        index for first, _, last in ranges for index in range(int(first), int(last or first) + 1)
    )


THINGS: tuple[Thing, ...] = tuple(
    Thing(english, spanish, _classes(classes))
    for english, spanish, classes in (line.split(" | ") for line in _TABLE.strip().splitlines())
)
