// fetch (undici) and ws through the proxy: URL PROXY CA.
import assert from "node:assert";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { ProxyAgent, fetch } from "undici";
import { HttpsProxyAgent } from "https-proxy-agent";
import WebSocket from "ws";

const [origin, proxy, caFile] = process.argv.slice(2);
const ca = readFileSync(caFile);
const dispatcher = new ProxyAgent({ uri: "http://" + proxy, requestTls: { ca } });

let answer = await fetch(origin + "/get?via=fetch", { dispatcher });
assert.equal(answer.status, 200);
assert.deepEqual((await answer.json()).args, { via: ["fetch"] });

// a stream up
const body = Buffer.alloc(300_000, "eaves");
answer = await fetch(origin + "/digest?via=fetch", {
	dispatcher, method: "POST", duplex: "half",
	body: new ReadableStream({
		start(c) {
			for (let i = 0; i < body.length; i += 10_000) c.enqueue(body.subarray(i, i + 10_000));
			c.close();
		},
	}),
});
assert.equal(await answer.text(), createHash("sha256").update(body).digest("hex"));

// a stream down, one piece after the other
answer = await fetch(origin + "/events?n=5", { dispatcher });
let events = "";
for await (const piece of answer.body) events += Buffer.from(piece).toString();
assert.equal(events.match(/^data: \d$/gm).length, 5);

// twenty at once
const many = await Promise.all(Array.from({ length: 20 }, (_, i) => fetch(`${origin}/bytes/${1000 + i}`, { dispatcher }).then((a) => a.arrayBuffer())));
many.forEach((b, i) => assert.equal(b.byteLength, 1000 + i));
await dispatcher.close();

// WebSocket, with permessage-deflate, as ws asks for it
const socket = new WebSocket(origin.replace("http", "ws") + "/echo?via=ws", { agent: new HttpsProxyAgent("http://" + proxy, { ca }), ca });
await new Promise((resolve, reject) => { socket.on("open", resolve); socket.on("error", reject); });
for (const sent of ["hello", "x".repeat(100_000), Buffer.from([0, 255, 1])]) {
	const got = new Promise((resolve) => socket.once("message", resolve));
	socket.send(sent);
	assert.deepEqual(await got, Buffer.from(sent));
}
const closed = new Promise((resolve) => socket.on("close", resolve));
socket.close(1000, "bye");
assert.equal(await closed, 1000);
console.log("ok");
