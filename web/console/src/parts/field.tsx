// A labelled field with its hint and, where it was refused, the reason right at it.
import type { ComponentChildren, JSX } from "preact";
import { useId } from "preact/hooks";

interface Shared {
  readonly label: string;
  readonly name: string;
  readonly hint?: string | undefined;
  readonly wrong?: string | undefined;
}

interface Described {
  readonly id: string;
  readonly "aria-describedby"?: string;
  readonly "aria-invalid"?: "true";
}

function Around(props: Shared & { readonly children: (described: Described) => ComponentChildren }): JSX.Element {
  const id = useId();
  const notes = [props.hint === undefined ? "" : `${id}-hint`, props.wrong === undefined ? "" : `${id}-wrong`].filter((each) => each !== "");
  const described: Described = {
    id,
    ...(notes.length === 0 ? {} : { "aria-describedby": notes.join(" ") }),
    ...(props.wrong === undefined ? {} : { "aria-invalid": "true" }),
  };
  return (
    <div class="field">
      <label for={id}>{props.label}</label>
      {props.children(described)}
      {props.wrong !== undefined && (
        <p id={`${id}-wrong`} class="mistake" role="alert">
          {props.wrong}
        </p>
      )}
      {props.hint !== undefined && (
        <p id={`${id}-hint`} class="soft">
          {props.hint}
        </p>
      )}
    </div>
  );
}

export function Field(
  props: Shared & {
    readonly type?: "text" | "password" | "tel" | "date" | "digits";
    readonly autocomplete?: "username" | "current-password" | "new-password" | "one-time-code";
    readonly value?: string;
    readonly focus?: boolean;
    readonly optional?: boolean;
  },
): JSX.Element {
  return (
    <Around {...props}>
      {(described) => {
        const input = {
          ...described,
          name: props.name,
          autocomplete: props.autocomplete ?? "off",
          autocapitalize: "none",
          spellcheck: false,
          required: props.optional !== true,
          autofocus: props.focus ?? false,
          defaultValue: props.value ?? "",
        } as const;
        switch (props.type ?? "text") {
          case "password":
            return <input {...input} type="password" />;
          case "tel":
            return <input {...input} type="tel" />;
          case "digits":
            return <input {...input} type="text" inputMode="numeric" />;
          case "date":
            return <input {...input} type="date" />;
          default:
            return <input {...input} type="text" />;
        }
      }}
    </Around>
  );
}

export interface Option {
  readonly value: string;
  readonly text: string;
}

export function SelectField(
  props: Shared & {
    readonly options: readonly Option[];
    readonly value?: string;
    readonly change?: (value: string) => void;
  },
): JSX.Element {
  return (
    <Around {...props}>
      {(described) => (
        <select {...described} name={props.name} onChange={(event) => props.change?.(event.currentTarget.value)}>
          {props.options.map(({ value, text }) => (
            <option key={value} value={value} selected={value === props.value}>
              {text}
            </option>
          ))}
        </select>
      )}
    </Around>
  );
}

/** Any number of these. */
export function TicksField(props: {
  readonly label: string;
  readonly name: string;
  readonly options: readonly (Option & { readonly hint?: string })[];
  readonly wrong?: string | undefined;
}): JSX.Element {
  const id = useId();
  return (
    <fieldset class="ticks" aria-describedby={props.wrong === undefined ? undefined : id}>
      <legend>{props.label}</legend>
      {props.options.map(({ value, text, hint }) => (
        <label key={value}>
          <input type="checkbox" name={props.name} value={value} />
          <span>
            {text}
            {hint !== undefined && <small>{hint}</small>}
          </span>
        </label>
      ))}
      {props.wrong !== undefined && (
        <p id={id} class="mistake" role="alert">
          {props.wrong}
        </p>
      )}
    </fieldset>
  );
}
