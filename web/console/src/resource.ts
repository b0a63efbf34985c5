// One thing asked of the centre, with what is known of it while it is asked again.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { Refused } from "@angbu/shared/client";

export interface Resource<T> {
  readonly data: T | undefined;
  readonly refused: Refused | undefined;
  readonly busy: boolean;
  readonly reload: () => void;
  readonly change: (with_: (data: T) => T) => void;
}

interface State<T> {
  readonly key: string;
  readonly data: T | undefined;
  readonly refused: Refused | undefined;
  readonly busy: boolean;
}

/**
 * Loads when `key` changes and on `reload`. While one key is reloaded its older data stays; another key starts empty,
 * unless `keep` says that the old picture may stand until the new one is there.
 */
export function useResource<T>(key: string, load: () => Promise<T>, keep = false): Resource<T> {
  const [state, setState] = useState<State<T>>({ key, data: undefined, refused: undefined, busy: true });
  const latest = useRef({ key, load, running: false, again: false });
  latest.current.load = load;

  const run = useCallback(async (wanted: string) => {
    const current = latest.current;
    if (current.running && current.key === wanted) {
      // Calls that come while one is under way become one more after it: bounded, and the newest state is seen.
      current.again = true;
      return;
    }
    current.key = wanted;
    current.running = true;
    current.again = false;
    setState((before) => ({ ...before, busy: true }));
    try {
      const data = await current.load();
      if (latest.current.key === wanted) setState({ key: wanted, data, refused: undefined, busy: false });
    } catch (error) {
      const refused = error instanceof Refused ? error : undefined;
      if (refused === undefined) throw error;
      if (latest.current.key === wanted) {
        setState((before) => ({ key: wanted, data: before.key === wanted ? before.data : undefined, refused, busy: false }));
      }
    } finally {
      if (latest.current.key === wanted) {
        current.running = false;
        if (current.again) void run(wanted);
      }
    }
  }, []);

  useEffect(() => {
    void run(key);
  }, [key, run]);

  const reload = useCallback(() => void run(latest.current.key), [run]);
  const change = useCallback(
    (with_: (data: T) => T) =>
      setState((before) => (before.data === undefined ? before : { ...before, data: with_(before.data) })),
    [],
  );

  const current = state.key === key;
  return {
    data: current || keep ? state.data : undefined,
    refused: current ? state.refused : undefined,
    busy: state.busy || !current,
    reload,
    change,
  };
}
