/** The page at `/`: how to point a Go client at this server, in English and Chinese. No script, nothing from afar. */

export interface HomeFacts {
  /** URL clients should use, as the visitor reached us. */
  readonly url: string;
  readonly privatePatterns: readonly string[];
  readonly version: string;
}

export function homePage(facts: HomeFacts): string {
  const url = escapeHtml(facts.url);
  const patterns = escapeHtml(facts.privatePatterns.join(','));
  const nosum =
    patterns === ''
      ? ''
      : `\ngo env -w GONOSUMDB=${patterns}   # private modules are in no public checksum database`;
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>modferry: Go module proxy</title>
<style>
body{font:16px/1.6 system-ui,sans-serif;max-width:46rem;margin:3rem auto;padding:0 1rem;color:#1b1f24;background:#fff}
pre{background:#f3f5f7;padding:1rem;overflow-x:auto;border-radius:6px}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}small{color:#57606a}
@media(prefers-color-scheme:dark){body{background:#0f1318;color:#dde3ea}pre{background:#1a2028}small{color:#9aa4af}}
</style>
<h1>modferry</h1>
<p>This is a Go module proxy. Point the <code>go</code> command at it:</p>
<pre>go env -w GOPROXY=${url}${nosum}</pre>
<p>For one shell, a Dockerfile or CI: <code>export GOPROXY=${url}</code></p>
<h2>使用方法</h2>
<p>这是一个 Go 模块代理。让 <code>go</code> 命令使用它：</p>
<pre>go env -w GOPROXY=${url}${nosum}</pre>
<p>仅对当前终端、Dockerfile 或 CI 生效：<code>export GOPROXY=${url}</code></p>
<h2>Endpoints</h2>
<pre>${url}/MODULE/@v/list
${url}/MODULE/@v/VERSION.info | .mod | .zip
${url}/MODULE/@latest
${url}/sumdb/DATABASE/supported | latest | lookup/… | tile/…
/healthz  /readyz  /version</pre>
<p><small>modferry ${escapeHtml(facts.version)}</small></p>
</html>
`;
}

/** `Host` is what the client sent: only a plain host and port goes into the page. */
export function visibleHost(host: string | undefined, fallback: string): string {
  return host !== undefined &&
    /^[A-Za-z0-9.-]{1,253}(?::\d{1,5})?$|^\[[0-9a-fA-F:.]{2,45}\](?::\d{1,5})?$/.test(host)
    ? host
    : fallback;
}

export function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
