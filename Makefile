# make run    start proxy and console
# make build  build ./eaves
# make test   install what the tests need (on Debian), then run every check and test
# make console  build webui/dist anew from webui/app

TAGS := sqlite_fts5

.PHONY: run build test console

run:
	go run -tags $(TAGS) ./cmd/eaves run $(ARGS)

build:
	go build -tags $(TAGS) -o eaves ./cmd/eaves

test:
	.ci/run

console:
	cd webui/app && npm ci --no-audit --no-fund && npm run build
