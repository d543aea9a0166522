/** All commands under their names, and the flags and help of those that set modferry up. */
import { buildCommand, buildRouteMap } from '@stricli/core';
import { envFormats } from './client-settings.ts';
import { configFlag, jsonFlag } from './commands/common-flags.ts';
import type { ConfigCheckFlags } from './commands/config-check.ts';
import type { ConfigShowFlags } from './commands/config-show.ts';
import type { EnvFlags } from './commands/env.ts';
import { type ServeFlags, serveParameters } from './commands/serve-flags.ts';
import type { VersionFlags } from './commands/version.ts';
import { type Shell, shells } from './completion-scripts.ts';
import type { CliContext } from './context.ts';
import { helpText } from './help-text.ts';
import { audit, deliveries } from './routes-audit.ts';
import { importCommand, quarantine, trust } from './routes-checksums.ts';
import { events } from './routes-events.ts';
import { goauth, login, logout } from './routes-login.ts';
import { explain, mode, negatives, status, upstreams } from './routes-operate.ts';
import { publish, unpublish } from './routes-publish.ts';
import { info, ls, purge, verify, warm } from './routes-store.ts';
import { scrub, sumdb } from './routes-sumdb.ts';
import { token } from './routes-token.ts';

const serve = buildCommand<ServeFlags, [], CliContext>({
  loader: async () => (await import('./commands/serve.ts')).serve,
  parameters: serveParameters,
  docs: {
    brief: 'Run the proxy',
    fullDescription: helpText(
      'Needs no configuration: it listens on localhost:8080, stores in ./modferry-data and fetches from the GOPROXY ' +
        "of this machine's Go. SIGTERM lets transfers under way finish, a second one stops at once; SIGHUP reloads " +
        'the configuration.',
      [
        ['modferry serve', 'With no configuration at all'],
        ['modferry serve --listen 0.0.0.0:8080 --data /var/lib/modferry', 'For a team'],
        [
          'modferry serve --upstream https://goproxy.cn --upstream https://goproxy.io',
          'Two upstreams, in order',
        ],
        [
          "modferry serve --sumdb 'sum.golang.org https://goproxy.cn/sumdb/sum.golang.org'",
          'A checksum database at another address',
        ],
      ],
    ),
  },
});

const configCheck = buildCommand<ConfigCheckFlags, [string?], CliContext>({
  loader: async () => (await import('./commands/config-check.ts')).configCheck,
  parameters: {
    flags: { json: jsonFlag },
    positional: {
      kind: 'tuple',
      parameters: [
        {
          parse: String,
          optional: true,
          placeholder: 'FILE',
          brief: 'Default: $MODFERRY_CONFIG, else ./modferry.yaml',
        },
      ],
    },
  },
  docs: {
    brief: 'Tell every fault of the configuration, with its place',
    fullDescription: helpText(
      'Checks file, environment and secrets together, as serve would read them. Exits with 78 when there are faults.',
      [
        ['modferry config check', 'The configuration used here'],
        ['modferry config check deploy/modferry.yaml', 'Another file'],
      ],
    ),
  },
});

const configShow = buildCommand<ConfigShowFlags, [], CliContext>({
  loader: async () => (await import('./commands/config-show.ts')).configShow,
  parameters: {
    flags: {
      origin: {
        kind: 'boolean',
        optional: true,
        withNegated: false,
        brief: 'Say of each value where it was set',
      },
      json: jsonFlag,
      config: configFlag,
    },
  },
  docs: {
    brief: 'Print the configuration in force, defaults included',
    fullDescription: helpText('Secrets are masked. The YAML can be used as a configuration file.', [
      ['modferry config show', 'As a file'],
      ['modferry config show --origin', 'With the layer that set each value'],
      ['modferry config show --json | jq .ingest', 'For scripts'],
    ]),
  },
});

const configSchema = buildCommand<object, [], CliContext>({
  loader: async () => (await import('./commands/config-schema.ts')).configSchema,
  parameters: {},
  docs: {
    brief: 'Print the JSON schema of modferry.yaml, for editors',
    fullDescription: helpText('Editors with a YAML language server complete and check with it.', [
      [
        'modferry config schema > modferry.schema.json',
        'Then put "# yaml-language-server: $schema=modferry.schema.json" on the first line of modferry.yaml',
      ],
    ]),
  },
});

const env = buildCommand<EnvFlags, [], CliContext>({
  loader: async () => (await import('./commands/env.ts')).env,
  parameters: {
    flags: {
      url: {
        kind: 'parsed',
        parse: String,
        optional: true,
        placeholder: 'URL',
        brief: 'How clients reach modferry. Default: as the configuration says it listens',
      },
      format: {
        kind: 'enum',
        values: envFormats,
        optional: true,
        placeholder: 'FORMAT',
        brief: 'Where the text goes. Default: sh',
      },
      login: {
        kind: 'boolean',
        optional: true,
        brief: 'With GOAUTH for modferry login. Default: whether you are logged in to the URL',
      },
      config: configFlag,
    },
  },
  docs: {
    brief: 'Print the settings for clients',
    fullDescription: helpText(
      'GOPROXY is modferry alone. With private patterns, GONOSUMDB keeps them from the checksum database and ' +
        'GONOPROXY=none makes go ask modferry for them too. GOSUMDB stays as it is.',
      [
        ['eval "$(modferry env)"', 'This shell'],
        ['modferry env --format powershell | Invoke-Expression', 'PowerShell'],
        ['modferry env --format go | sh', 'For good, by go env -w'],
        ['modferry env --url https://goproxy.corp.example --format dockerfile', 'Lines for a Dockerfile'],
        [
          'modferry env --url https://goproxy.corp.example --format github',
          'For a GitHub workflow; gitlab likewise',
        ],
      ],
    ),
  },
});

const version = buildCommand<VersionFlags, [], CliContext>({
  loader: async () => (await import('./commands/version.ts')).version,
  parameters: { flags: { json: jsonFlag } },
  docs: {
    brief: 'Print the version',
    fullDescription: helpText('Of modferry, of Node.js, and the platform.', [
      ['modferry version --json', 'For scripts'],
    ]),
  },
});

function parseShell(text: string): Shell {
  const found = shells.find((shell) => shell === text);
  if (found === undefined) throw new Error(`write one of ${shells.join(', ')}`);
  return found;
}

const completion = buildCommand<object, [Shell], CliContext>({
  loader: async () => (await import('./commands/completion.ts')).completion,
  parameters: {
    positional: {
      kind: 'tuple',
      parameters: [{ parse: parseShell, placeholder: shells.join('|'), brief: 'The shell' }],
    },
  },
  docs: {
    brief: 'Print a completion script for your shell',
    fullDescription: helpText('The script says in its first lines how to keep it.', [
      ['source <(modferry completion bash)', 'bash, this session'],
      ['source <(modferry completion zsh)', 'zsh, this session'],
      ['modferry completion fish | source', 'fish, this session'],
    ]),
  },
});

const config = buildRouteMap<'check' | 'show' | 'schema', CliContext>({
  routes: { check: configCheck, show: configShow, schema: configSchema },
  docs: { brief: 'Check and show the configuration' },
});

export const root = buildRouteMap({
  routes: {
    serve,
    status,
    events,
    audit,
    deliveries,
    upstreams,
    mode,
    explain,
    negatives,
    config,
    env,
    login,
    logout,
    goauth,
    warm,
    ls,
    info,
    purge,
    publish,
    unpublish,
    verify,
    import: importCommand,
    trust,
    token,
    quarantine,
    sumdb,
    scrub,
    version,
    completion,
  },
  docs: {
    brief: 'modferry, a Go module proxy',
    fullDescription:
      'Run it with `modferry serve`, then give its URL to clients: `eval "$(modferry env)"`.\n' +
      'Each command explains itself with --help.',
  },
});
