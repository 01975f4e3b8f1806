import pytest

from connectors.media.addresses import WrongAllowedHost, allowed_hosts, is_public

PUBLIC = [
    "93.184.216.34", "8.8.8.8", "1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
    "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.0.3.0", "192.88.98.255", "192.167.255.255", "192.169.0.0",
    "168.63.129.15", "168.63.129.17", "198.17.255.255", "198.20.0.0", "223.255.255.255",
    "2606:2800:220:1:248:1893:25c8:1946", "2001:4860:4860::8888", "2001:200::1", "2000::1", "2003::1", "2a00:1450::1", "3ffe::1",
    "::ffff:8.8.8.8", "::ffff:808:808",
]  # fmt: skip

NOT_PUBLIC = [
    # IPv4, the registry of special-purpose addresses
    "0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255", "127.0.0.1", "127.255.255.255", "169.254.0.0",
    "169.254.255.255", "172.16.0.0", "172.31.255.255", "192.0.0.0", "192.0.0.8", "192.0.0.9", "192.0.0.10", "192.0.0.170", "192.0.0.255", "192.0.2.1",
    "192.31.196.1", "192.52.193.1", "192.88.99.1", "192.168.0.0", "192.168.255.255", "192.175.48.1", "198.18.0.0", "198.19.255.255", "198.51.100.1",
    "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    # metadata services
    "169.254.169.254", "169.254.170.2", "100.100.100.200", "192.0.0.192", "168.63.129.16", "fd00:ec2::254", "fd20:ce::254",
    # IPv6, the registry of special-purpose addresses, and what is not assigned
    "::", "::1", "100::1", "100:0:0:1::1", "2001::1", "2001:1::1", "2001:2::1", "2001:3::1", "2001:4:112::1", "2001:10::1", "2001:20::1", "2001:30::1",
    "2001:1ff:ffff::1", "2001:db8::1", "2002::1", "2620:4f:8000::1", "3fff::1", "3fff:fff::1", "4000::1", "5f00::1", "fc00::1", "fd00::1", "fe80::1",
    "febf::1", "fec0::1", "feff::1", "ff02::1", "ff0e::1", "ffff::1",
    # an IPv4 address inside
    "::127.0.0.1", "::8.8.8.8", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:192.0.0.192", "::ffff:0:127.0.0.1",
    "::ffff:0:8.8.8.8", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1", "2002:7f00:1::", "2002:a00:1::1", "2001:0:7f00:1::",
    # a scope names an interface of this machine
    "fe80::1%eth0", "2606:2800:220:1::1%1",
    # not an address
    "", "localhost", "1.2.3", "0x7f000001", "8.8.8.8 ", "8.8.8.8/32", "[::1]",
]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_public_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_of_any_special_purpose_is_not_public(address: str) -> None:
    assert not is_public(address)


def test_the_policy_does_not_ask_the_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("ipaddress.IPv4Address", "ipaddress.IPv6Address"):
        for name in ("is_global", "is_private"):
            monkeypatch.setattr(f"{kind}.{name}", property(lambda _: None))
    assert [is_public(address) for address in ("8.8.8.8", "10.0.0.1", "2000::1", "5f00::1")] == [
        True,
        False,
        True,
        False,
    ]


def test_allowed_hosts_are_pairs_of_host_and_port() -> None:
    assert allowed_hosts(" Files.test:9000, [::1]:80 ,ñandú.test:443,127.1:8080") == {
        ("files.test", 9000),
        ("::1", 80),
        ("xn--and-6ma2c.test", 443),
        ("127.0.0.1", 8080),
    }
    assert allowed_hosts("") == frozenset()


@pytest.mark.parametrize(
    "setting",
    [
        "files.test", "files.test:", "files.test:http", "10.0.0.0/8", "::1:80", "http://files.test:80", "files.test:80/path", "user@files.test:80",
        "files.test:99999", "files.test:²", ":80",
    ],
)  # fmt: skip
def test_what_is_not_a_host_and_a_port_is_refused_with_the_name_of_the_setting(
    setting: str,
) -> None:
    with pytest.raises(WrongAllowedHost, match="SENSORIUM_MEDIA__ALLOWED_PRIVATE_HOSTS"):
        allowed_hosts(setting)
