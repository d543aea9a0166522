import { describe, expect, it } from 'vitest';
import { fakeCli } from './test-kit.ts';

describe('the command line', () => {
  it('shows what there is when nothing is asked', async () => {
    const { code, stdout } = await fakeCli().run();
    expect(code).toBe(0);
    for (const name of [
      'serve',
      'config',
      'env',
      'warm',
      'ls',
      'info',
      'purge',
      'verify',
      'version',
      'completion',
    ]) {
      expect(stdout).toMatch(new RegExp(`^ {2}${name} +\\w`, 'm'));
    }
  });

  it('suggests the command that was meant', async () => {
    const { code, stdout, stderr } = await fakeCli().run('serv');
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toBe('modferry: there is no command "serv"; did you mean `serve`?\n');
  });

  it.each([
    [['ls', '--bogus'], 'no flag registered for --bogus'],
    [['ls', 'a', 'b'], 'too many arguments'],
    [['info'], 'expected argument for MODULE[@VERSION]'],
    [['completion', 'tcsh'], 'write one of bash, zsh, fish'],
    [['warm', '--concurrency', '0'], 'a whole number from 1 to 256'],
    [['env', '--format', 'cmd'], 'cmd'],
  ])('refuses %s with exit code 2 and one line', async (args, said) => {
    const { code, stderr } = await fakeCli().run(...args);
    expect(code).toBe(2);
    expect(stderr).toContain(said);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).not.toMatch(/^\s+at /m);
  });

  it('takes help as a word too', async () => {
    const asWord = await fakeCli().run('help', 'config', 'check');
    const asFlag = await fakeCli().run('config', 'check', '--help');
    expect(asWord).toEqual(asFlag);
    expect(asWord.code).toBe(0);
  });

  it('explains a command with examples', async () => {
    expect((await fakeCli().run('info', '--help')).stdout).toMatchInlineSnapshot(`
      "USAGE
        modferry info [--json] [--data DIR] [--config FILE] <MODULE[@VERSION]>
        modferry info --help

      Fails when nothing of it is stored.

      EXAMPLES
        # One version
        modferry info golang.org/x/mod@v0.20.0
        # All stored versions of a module
        modferry info golang.org/x/mod
        # For scripts
        modferry info --json golang.org/x/mod@v0.20.0

      FLAGS
           [--json]    Print JSON for scripts
           [--data]    Data folder. Default: as configured, else ./modferry-data
           [--config]  Configuration file. Default: $MODFERRY_CONFIG, else ./modferry.yaml if it exists
        -h  --help     Print help information and exit
            --         All subsequent inputs should be interpreted as arguments

      ARGUMENTS
        MODULE[@VERSION]  What to tell about
      "
    `);
    expect((await fakeCli().run('config', '--help')).stdout).toMatchInlineSnapshot(`
      "USAGE
        modferry config check [--json] [<FILE>]
        modferry config show [--origin] [--json] [--config FILE]
        modferry config schema
        modferry config --help

      Check and show the configuration

      FLAGS
        -h --help  Print help information and exit
           --      All subsequent inputs should be interpreted as arguments

      COMMANDS
        check   Tell every fault of the configuration, with its place
        show    Print the configuration in force, defaults included
        schema  Print the JSON schema of modferry.yaml, for editors
      "
    `);
  });
});

describe('modferry version', () => {
  it('tells version and platform', async () => {
    const { code, stdout } = await fakeCli().run('version');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^modferry \d+\.\d+\.\d+\S* \(node v24\.0\.0, linux\/x64\)\n$/);
  });

  it('has the same in JSON', async () => {
    const { stdout } = await fakeCli().run('version', '--json');
    expect(JSON.parse(stdout)).toMatchObject({ node: 'v24.0.0', platform: 'linux', arch: 'x64' });
  });
});
