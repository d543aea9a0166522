/**
 * The environment in which `go` may look at a repository: nothing of the machine's settings, homes and credentials
 * takes part, and only the one version control system that the repository is of may run.
 * @see https://pkg.go.dev/cmd/go#hdr-Environment_variables
 * @see https://pkg.go.dev/cmd/go#hdr-Controlling_version_control_with_GOVCS
 */
import { join } from 'node:path';
import type { Vcs } from '../types.ts';

export interface GoEnvironmentOptions {
  /** PATH of go, hg, svn … */
  readonly searchPath: string;
  /** PEM file of further certificate authorities, for go and its version control systems. */
  readonly caFile: string | undefined;
  /** Outbound proxies; every tool reads them its own way from these. */
  readonly proxies: {
    readonly http?: string | undefined;
    readonly https?: string | undefined;
    readonly none?: string | undefined;
  };
  /** As GOINSECURE. */
  readonly insecurePatterns: readonly string[];
}

/** `folder` is one of ours: everything that is written goes there. */
export function goEnvironment(
  folder: string,
  vcs: Vcs,
  options: GoEnvironmentOptions,
): Record<string, string> {
  const { searchPath, caFile, proxies, insecurePatterns } = options;
  const home = homeOf(folder);
  const env: Record<string, string> = {
    PATH: searchPath,
    HOME: home,
    LC_ALL: 'C',
    TMPDIR: join(folder, 'tmp'),
    XDG_CONFIG_HOME: join(home, '.config'),
    GOPATH: join(folder, 'gopath'),
    GOMODCACHE: join(folder, 'modcache'),
    GOCACHE: join(folder, 'gocache'),
    GOENV: 'off',
    GO111MODULE: 'on',
    GOWORK: 'off',
    GOFLAGS: '-modcacherw',
    GOTOOLCHAIN: 'local',
    GOPROXY: 'direct',
    GONOPROXY: 'none',
    GOSUMDB: 'off',
    GONOSUMDB: '*',
    GOPRIVATE: '',
    GOAUTH: 'off',
    GOINSECURE: insecurePatterns.join(','),
    GOVCS: `*:${vcs}`,
    GOTELEMETRY: 'off',
    CGO_ENABLED: '0',
    // For hg: no configuration file, no extension, no prompt.
    HGRCPATH: '',
    HGPLAIN: '1',
    BZR_HOME: home,
    BRZ_HOME: home,
    FOSSIL_HOME: home,
    SSH_ASKPASS: 'false',
    SSH_ASKPASS_REQUIRE: 'never',
    // For tools that use git behind our back.
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ASKPASS: 'false',
    GIT_ALLOW_PROTOCOL: 'https:ssh',
    GIT_PROTOCOL_FROM_USER: '0',
  };
  if (caFile !== undefined) env['SSL_CERT_FILE'] = caFile;
  const named = { HTTP_PROXY: proxies.http, HTTPS_PROXY: proxies.https, NO_PROXY: proxies.none };
  for (const [name, value] of Object.entries(named)) {
    if (value === undefined) continue;
    env[name] = value;
    env[name.toLowerCase()] = value;
  }
  return env;
}

/** Folders that must be there before go runs. */
export function environmentFolders(folder: string): readonly string[] {
  return [join(folder, 'tmp'), join(folder, 'cwd'), join(homeOf(folder), '.config/go/telemetry')];
}

/** With telemetry on, go leaves a process behind. The file and what must stand in it. */
export function telemetryFile(folder: string): readonly [file: string, content: string] {
  return [join(homeOf(folder), '.config/go/telemetry/mode'), 'off'];
}

function homeOf(folder: string): string {
  return join(folder, 'home');
}
