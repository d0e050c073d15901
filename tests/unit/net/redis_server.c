/* SPDX-License-Identifier: Apache-2.0 */
/* redis_server.c - see redis_server.h. */
#include "redis_server.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

/* A port that was free a moment ago, below those that the kernel gives to connections: nobody comes by it meanwhile but
 * by the same dice. */
static unsigned free_port(void)
{
	for (;;) {
		struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		unsigned dice = 0;
		bool is_free;

		if (fd < 0 || getrandom(&dice, sizeof(dice), 0) != (ssize_t)sizeof(dice))
			fatal("no free port");
		address.sin_port = htons((in_port_t)(10000 + dice % 22000));
		is_free = bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
		close(fd);
		if (is_free)
			return ntohs(address.sin_port);
	}
}

static void add_extension(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *extension;
	X509V3_CTX context;

	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, cert, cert, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	if (extension == NULL || X509_add_ext(cert, extension, -1) != 1)
		fatal("no certificate extension %s", value);
	X509_EXTENSION_free(extension);
}

/* A certificate for "localhost" that signs itself. */
static void make_certificate(const char *key_file, const char *cert_file)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	X509_NAME *name = X509_get_subject_name(cert);
	FILE *file;

	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1, 0);
	X509_set_issuer_name(cert, name);
	X509_set_pubkey(cert, key);
	add_extension(cert, NID_basic_constraints, "critical,CA:TRUE");
	add_extension(cert, NID_subject_alt_name, "DNS:localhost");
	if (X509_sign(cert, key, EVP_sha256()) == 0)
		fatal("cannot sign a certificate");
	file = fopen(key_file, "we");
	if (file == NULL || PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) != 1 || fclose(file) != 0)
		fatal("cannot write %s", key_file);
	file = fopen(cert_file, "we");
	if (file == NULL || PEM_write_X509(file, cert) != 1 || fclose(file) != 0)
		fatal("cannot write %s", cert_file);
	X509_free(cert);
	EVP_PKEY_free(key);
}

void redis_server_init(struct redis_server *server, bool network, bool tls)
{
	char *key_file;

	*server = (struct redis_server){ 0 };
	snprintf(server->folder, sizeof(server->folder), "/tmp/gantry-redis-XXXXXX");
	if (mkdtemp(server->folder) == NULL)
		fatal("no scratch folder");
	server->unix_url = xasprintf("unix://%s/redis.sock", server->folder);
	if (network)
		server->port = free_port();
	if (!tls)
		return;
	server->tls_port = free_port();
	server->ca_file = xasprintf("%s/cert.pem", server->folder);
	key_file = xasprintf("%s/key.pem", server->folder);
	make_certificate(key_file, server->ca_file);
	free(key_file);
}

void redis_server_start(struct redis_server *server, const char *password)
{
	char *socket_file = xasprintf("%s/redis.sock", server->folder), *key_file = xasprintf("%s/key.pem", server->folder);
	char port[8], tls_port[8];
	const char *argv[REDIS_SERVER_ARGS + 1] = {
		"redis-server", "--save", "", "--appendonly", server->keeps ? "yes" : "no", "--dir", server->folder,
		/* With everysec a write may still wait, behind a slow fsync, when its answer is out. */
		"--appendfsync", "always", "--databases", "1024", "--bind", "127.0.0.1",
		"--unixsocket", socket_file, "--port", port,
	};
	size_t argc = 17;

	snprintf(port, sizeof(port), "%u", server->port);
	snprintf(tls_port, sizeof(tls_port), "%u", server->tls_port);
	if (password != NULL) {
		argv[argc++] = "--requirepass";
		argv[argc++] = password;
	}
	if (server->tls_port > 0) {
		const char *const more[] = { "--tls-port", tls_port, "--tls-cert-file", server->ca_file, "--tls-key-file",
			key_file, "--tls-ca-cert-file", server->ca_file, "--tls-auth-clients", "no" };

		memcpy(&argv[argc], more, sizeof(more));
			}
	server->pid = fork();
	if (server->pid == 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		execvp("redis-server", (char *const *)argv);
		_exit(127);
	}
	if (server->pid < 0)
		fatal("cannot fork");
	free(socket_file);
	free(key_file);
}

static bool answers(const struct redis_server *server)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char answer[8] = "";
	bool ok;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/redis.sock", server->folder);
	ok = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
		write(fd, "PING\r\n", 6) == 6 && read(fd, answer, 7) == 7 && strcmp(answer, "+PONG\r\n") == 0;
	if (fd >= 0)
		close(fd);
	return ok;
}

void redis_server_await(const struct redis_server *server)
{
	while (!answers(server)) {
		if (waitpid(server->pid, NULL, WNOHANG) != 0)
			fatal("redis-server has ended");
		usleep(5000);
	}
}

void redis_server_kill(struct redis_server *server)
{
	if (server->pid > 0) {
		kill(server->pid, SIGKILL);
		waitpid(server->pid, NULL, 0);
	}
	server->pid = 0;
}

static void remove_appended(const struct redis_server *server)
{
	char *path = xasprintf("%s/appendonlydir", server->folder);
	DIR *dir = opendir(path);
	const struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL)
		unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir != NULL)
		closedir(dir);
	rmdir(path);
	free(path);
}

void redis_server_finish(struct redis_server *server)
{
	static const char *const files[] = { "redis.sock", "cert.pem", "key.pem" };

	redis_server_kill(server);
	remove_appended(server);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char *path = xasprintf("%s/%s", server->folder, files[i]);

		unlink(path);
		free(path);
	}
	rmdir(server->folder);
	free(server->unix_url);
	free(server->ca_file);
}
