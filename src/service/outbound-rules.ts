/**
 * Which outbound proxy each upstream of one configuration uses: its own, none, a PAC script, or what the `network`
 * section and the environment say.
 */
import type { Config, ServerEntry } from '../config/snapshot.ts';
import { systemClock } from '../lib/clock.ts';
import { PacScripts } from '../outbound/pac-rule.ts';
import {
  directRule,
  envProxyRule,
  exceptLoopback,
  fixedProxyRule,
  type ProxyRule,
} from '../outbound/proxy-rule.ts';

export class OutboundRules {
  readonly #config: Config;
  readonly #env: Readonly<Record<string, string | undefined>>;
  readonly #scripts: PacScripts;

  constructor(config: Config, env: Readonly<Record<string, string | undefined>>) {
    this.#config = config;
    this.#env = env;
    this.#scripts = new PacScripts({ clock: systemClock, caFile: config.network.caFile });
  }

  /** Throws OutboundProxyError for an address that is none. PAC scripts are not read before they are needed. */
  ruleFor(setting: ServerEntry['proxy']): ProxyRule {
    const { pac } = this.#config.network;
    if (setting === 'direct') return directRule;
    if (setting === 'env') {
      return pac === undefined ? envProxyRule(this.#networkEnv()) : exceptLoopback(this.#scripts.rule(pac));
    }
    // The configuration was checked: `pac` alone has its script in the network section.
    if (setting === 'pac') return pac === undefined ? directRule : this.#scripts.rule(pac);
    const address = setting.reveal();
    return address.startsWith('pac:') ? this.#scripts.rule(address.slice(4)) : fixedProxyRule(address);
  }

  /**
   * Ends the threads of PAC scripts, which cost much memory, though transfers under way may still ask a question
   * (taking over, a redirect): it is answered all the same. Never rejects.
   */
  async retire(): Promise<void> {
    await this.#scripts.retire();
  }

  /** Ends the threads of PAC scripts. Never rejects. */
  async close(): Promise<void> {
    await this.#scripts.close();
  }

  /** The configuration's `network` section stands in for the environment's variables. */
  #networkEnv(): Record<string, string | undefined> {
    const { httpProxy, httpsProxy, noProxy } = this.#config.network;
    return {
      ...this.#env,
      ...(httpProxy === undefined ? {} : { HTTP_PROXY: httpProxy.reveal() }),
      ...(httpsProxy === undefined ? {} : { HTTPS_PROXY: httpsProxy.reveal() }),
      ...(noProxy === undefined ? {} : { NO_PROXY: noProxy }),
    };
  }
}
