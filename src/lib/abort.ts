/** Small helpers around AbortSignal: its reason as an Error, and waiting that ends when the asker leaves. */

/** The signal's reason when it is an Error, else a plain one: what is thrown is always an Error. */
export function reasonOf(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error('aborted');
}

/** Settles like `promise`, or rejects with the signal's reason if that comes first. Leaves no listener behind. */
export async function raceAbort<Result>(promise: Promise<Result>, signal: AbortSignal): Promise<Result> {
  if (signal.aborted) throw reasonOf(signal);
  const aborted = Promise.withResolvers<never>();
  function onAbort(): void {
    aborted.reject(reasonOf(signal));
  }
  // Nobody may be waiting any more when it fires.
  aborted.promise.catch(() => {});
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
