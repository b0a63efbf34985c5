// Whatever makes or destroys something asks in a dialog of its own, which the keyboard can leave again.
import type { ComponentChildren, JSX, TargetedSubmitEvent } from "preact";
import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Refused } from "@angbu/shared/client";
import { useSpeech } from "../words";
import { Copyable } from "./copy";
import { Refusal } from "./refusal";

export function Dialog(props: {
  readonly title: string;
  readonly close: () => void;
  /** What stands here is shown this once: the Escape key alone does not put it away. */
  readonly keep?: boolean;
  readonly children: ComponentChildren;
}): JSX.Element {
  const box = useRef<HTMLDialogElement>(null);
  const title = useId();
  useLayoutEffect(() => {
    const element = box.current;
    element?.showModal();
    // Closed before it goes, the dialog gives the focus back to where it was.
    return () => element?.close();
  }, []);
  return (
    <dialog
      ref={box}
      aria-labelledby={title}
      onCancel={(event) => {
        event.preventDefault();
        if (props.keep !== true) props.close();
      }}
    >
      <h2 id={title}>{props.title}</h2>
      {props.children}
    </dialog>
  );
}

/** A field that the form itself finds wrong, before the centre is asked. */
export class Mistake extends Error {
  constructor(
    readonly field: string,
    message: string,
  ) {
    super(message);
  }
}

/** The reasons by field. */
export type Wrong = Readonly<Record<string, string | undefined>>;

export function FormDialog(props: {
  readonly title: string;
  readonly action: string;
  readonly danger?: boolean;
  readonly close: () => void;
  /** Does it; what it throws is shown, and the dialog stays. */
  readonly run: (form: FormData) => Promise<void>;
  /** At which field a refusal of the centre belongs, and in which words. */
  readonly place?: (refused: Refused) => Mistake | undefined;
  readonly children: (wrong: Wrong) => ComponentChildren;
}): JSX.Element {
  const { words } = useSpeech();
  const [busy, setBusy] = useState(false);
  const [refused, setRefused] = useState<Refused>();
  const [wrong, setWrong] = useState<Mistake>();
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => {
    if (wrong !== undefined) form.current?.querySelector<HTMLElement>(`[name="${wrong.field}"]`)?.focus();
  }, [wrong]);

  const submit = async (event: TargetedSubmitEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setRefused(undefined);
    setWrong(undefined);
    try {
      await props.run(new FormData(event.currentTarget));
    } catch (error) {
      const placed = error instanceof Refused ? props.place?.(error) : error;
      if (placed instanceof Mistake) setWrong(placed);
      else if (error instanceof Refused) setRefused(error);
      else throw error;
    } finally {
      setBusy(false);
    }
  };

  return (
    <Dialog title={props.title} close={props.close}>
      <form ref={form} onSubmit={(event) => void submit(event)}>
        {props.children(wrong === undefined ? {} : { [wrong.field]: wrong.message })}
        {refused !== undefined && <Refusal refused={refused} />}
        <div class="actions">
          <button type="submit" class={props.danger === true ? "danger" : "primary"} disabled={busy}>
            {props.action}
          </button>
          <button type="button" onClick={props.close}>
            {words.cancel}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

/** A secret or a code that the centre keeps only as a hash. */
export function OnceDialog(props: {
  readonly title: string;
  readonly close: () => void;
  readonly secret: string;
  readonly children?: ComponentChildren;
}): JSX.Element {
  const { words } = useSpeech();
  return (
    <Dialog title={props.title} close={props.close} keep>
      <p>{words.shownOnce}</p>
      <Copyable text={props.secret} />
      {props.children}
      <div class="actions">
        <button type="button" class="primary" onClick={props.close}>
          {words.shownOnceKept}
        </button>
      </div>
    </Dialog>
  );
}

/** Text of a form's field, without the spaces that copying brings along. */
export function textOf(form: FormData, name: string): string {
  return String(form.get(name) ?? "").trim();
}
