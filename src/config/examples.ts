/** Examples for the reference page. A test loads each one, so that none of them can go stale. */

export interface ConfigExample {
  readonly title: string;
  readonly about: string;
  readonly yaml: string;
  /** Variables its references need, for the test. */
  readonly env?: Readonly<Record<string, string>>;
}

export const configExamples: readonly ConfigExample[] = [
  {
    title: 'For a team',
    about: 'Reachable from other machines, two mirrors, internal modules never sent out.',
    yaml: `listen: :8080
data: /var/lib/modferry
upstreams:
  - https://goproxy.cn
  - https://goproxy.io
private:
  - git.corp.example/*
`,
  },
  {
    title: 'With an internal GOPROXY server',
    about: 'Internal modules come from a server that needs a token; the rest from public mirrors.',
    yaml: `upstreams:
  - url: https://artifacts.corp.example/go
    name: internal
    private: true
    token: env:ARTIFACTS_TOKEN
    proxy: direct
    ca_file: /etc/ssl/corp-root.pem
  - https://goproxy.cn
private: git.corp.example/*
sumdb:
  - sum.golang.org https://goproxy.cn/sumdb/sum.golang.org
`,
    env: { ARTIFACTS_TOKEN: 'example' },
  },
  {
    title: 'Behind an outbound proxy, on a slow line',
    about: 'Longer patience, fewer connections, a small memory.',
    yaml: `network:
  https_proxy: http://10.0.0.1:3128
  no_proxy: .corp.example,10.0.0.0/8
timeouts:
  connect: 10s
  first_byte:
    zip: 20s
  idle: 45s
ingest:
  concurrency: 16
  per_upstream: 4
look_ahead:
  max_zip: 1MiB
memory:
  hot_small: 32MiB
  hot_zip: 32MiB
`,
  },
  {
    title: 'Under a path, behind a load balancer',
    about:
      'Clients use `https://tools.corp.example/goproxy`; the balancer sees `/readyz` fail before requests do.',
    yaml: `listen:
  - 127.0.0.1:8080
  - '[::1]:8080'
path_prefix: /goproxy
server:
  drain_wait: 10s
  drain: 2m
log:
  format: json
  access: misses
`,
  },
];
