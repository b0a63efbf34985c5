// A text to take along: a key, a command.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { useSpeech } from "../words";

export function Copyable(props: { readonly text: string }): JSX.Element {
  const { words } = useSpeech();
  const [copied, setCopied] = useState(false);
  const code = useRef<HTMLElement>(null);
  useEffect(() => {
    if (!copied) return;
    const timer = window.setTimeout(() => setCopied(false), 2_000);
    return () => window.clearTimeout(timer);
  }, [copied]);

  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(props.text);
      setCopied(true);
    } catch {
      // Without leave, or without HTTPS, the text is marked so that the reader's own copying takes it.
      if (code.current !== null) window.getSelection()?.selectAllChildren(code.current);
    }
  };

  return (
    <div class="copyable">
      <code ref={code}>{props.text}</code>
      <button type="button" class="quiet" onClick={() => void copy()}>
        <span aria-live="polite">{copied ? words.copied : words.copy}</span>
      </button>
    </div>
  );
}
