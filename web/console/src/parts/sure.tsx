// Asks once more before something is taken away.
import type { ComponentChildren, JSX } from "preact";
import { FormDialog } from "./dialog";

export function Sure(props: {
  readonly title: string;
  readonly action: string;
  readonly close: () => void;
  readonly run: () => Promise<void>;
  readonly children: ComponentChildren;
}): JSX.Element {
  return (
    <FormDialog
      title={props.title}
      action={props.action}
      danger
      close={props.close}
      run={async () => {
        await props.run();
        props.close();
      }}
    >
      {() => <p>{props.children}</p>}
    </FormDialog>
  );
}
