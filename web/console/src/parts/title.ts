import { useEffect } from "preact/hooks";

/** What the browser's tab and history say. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · Angbu`;
  }, [title]);
}
