/**
 * Typed events: how parts tell what happened without knowing who listens. Logs, metrics and the history are
 * subscribers; the core has no logger.
 */
export class EventBus<Events extends object> {
  readonly #listeners = new Map<keyof Events, Set<(payload: never) => void>>();

  /** Returns the unsubscribe. */
  on<Type extends keyof Events>(type: Type, listener: (payload: Events[Type]) => void): () => void {
    let set = this.#listeners.get(type);
    if (set === undefined) {
      set = new Set();
      this.#listeners.set(type, set);
    }
    set.add(listener);
    return () => {
      set.delete(listener);
    };
  }

  /** A listener that throws must not spoil the request that caused the event, so its error is dropped. */
  emit<Type extends keyof Events>(type: Type, payload: Events[Type]): void {
    const set = this.#listeners.get(type);
    if (set === undefined) return;
    for (const listener of set) {
      try {
        (listener as (payload: Events[Type]) => void)(payload);
      } catch {
        // Deliberately ignored, see above.
      }
    }
  }
}
