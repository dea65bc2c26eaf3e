"""urllib and requests through the proxy: URL PROXY CA."""

import hashlib
import ssl
import sys
import urllib.request

import requests

origin, proxy, ca = sys.argv[1:]
proxies = {"http": "http://" + proxy, "https": "http://" + proxy}

opener = urllib.request.build_opener(
    urllib.request.ProxyHandler(proxies),
    urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=ca)),
)
with opener.open(origin + "/get?via=urllib", timeout=20) as answer:
    assert answer.status == 200, answer.status
    assert b"urllib" in answer.read()

# chunked upload, as requests makes it of a generator
body = bytes(range(256)) * 1024
session = requests.Session()
session.trust_env = False
session.proxies = proxies
session.verify = ca
answer = session.put(origin + "/digest?via=requests", data=(body[i : i + 5000] for i in range(0, len(body), 5000)), timeout=20)
assert answer.status_code == 200, answer.status_code
assert answer.text == hashlib.sha256(body).hexdigest(), answer.text

# kept alive, gzip undone, redirects followed, cookies kept
for _ in range(5):
    assert session.get(origin + "/gzip", timeout=20).json()["gzipped"] is True
assert session.get(origin + "/cookies/set?a=1", timeout=20).json() == {"cookies": {"a": "1"}} or session.cookies["a"] == "1"
assert session.get(origin + "/status/418", timeout=20).status_code == 418
with session.get(origin + "/stream-bytes/100000?chunk_size=1000", stream=True, timeout=20) as answer:
    assert sum(len(c) for c in answer.iter_content(777)) == 100000
print("ok")
