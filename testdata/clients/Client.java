import java.io.FileInputStream;
import java.net.InetSocketAddress;
import java.net.ProxySelector;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.WebSocket;
import java.nio.charset.StandardCharsets;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.HexFormat;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/** Java's HttpClient through the proxy: URL PROXY TRUSTSTORE. */
class Client {
	public static void main(String[] args) throws Exception {
		String origin = args[0];
		String[] proxy = args[1].split(":");
		KeyStore trusted = KeyStore.getInstance("PKCS12");
		try (var in = new FileInputStream(args[2])) {
			trusted.load(in, "changeit".toCharArray());
		}
		var trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
		trust.init(trusted);
		var tls = SSLContext.getInstance("TLS");
		tls.init(null, trust.getTrustManagers(), null);

		for (var version : HttpClient.Version.values()) {
			var client = HttpClient.newBuilder().version(version).sslContext(tls).connectTimeout(Duration.ofSeconds(20))
					.proxy(ProxySelector.of(new InetSocketAddress(proxy[0], Integer.parseInt(proxy[1])))).build();
			var get = client.send(HttpRequest.newBuilder(URI.create(origin + "/get?via=" + version)).timeout(Duration.ofSeconds(20)).build(),
					HttpResponse.BodyHandlers.ofString());
			check(get.statusCode() == 200 && get.body().contains(version.toString()), "get: " + get.statusCode());
			check(get.version() == version, "asked with " + version + ", answered with " + get.version());
			byte[] body = "eaves".repeat(50_000).getBytes(StandardCharsets.UTF_8);
			var post = client.send(HttpRequest.newBuilder(URI.create(origin + "/digest")).timeout(Duration.ofSeconds(20))
					.POST(HttpRequest.BodyPublishers.ofByteArray(body)).build(), HttpResponse.BodyHandlers.ofString());
			check(post.body().equals(HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(body))), "post: " + post.body());
			if (version == HttpClient.Version.HTTP_1_1) {
				echo(client, origin.replaceFirst("http", "ws") + "/echo?via=java");
			}
		}
		System.out.println("ok");
	}

	static void echo(HttpClient client, String url) throws Exception {
		var got = new CompletableFuture<String>();
		var socket = client.newWebSocketBuilder().buildAsync(URI.create(url), new WebSocket.Listener() {
			@Override
			public CompletionStage<?> onText(WebSocket s, CharSequence data, boolean last) {
				got.complete(data.toString());
				return null;
			}
		}).get(20, TimeUnit.SECONDS);
		socket.sendText("hello", true).get(20, TimeUnit.SECONDS);
		check(got.get(20, TimeUnit.SECONDS).equals("hello"), "echo");
		socket.sendClose(WebSocket.NORMAL_CLOSURE, "bye").get(20, TimeUnit.SECONDS);
	}

	static void check(boolean ok, String what) {
		if (!ok) throw new IllegalStateException(what);
	}
}
