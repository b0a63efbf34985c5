import { render } from "preact";
import "@angbu/shared/looks.css";
import "./styles/frame.css";
import "./styles/controls.css";
import "./styles/tables.css";
import "./styles/graph.css";
import "./styles/dialogs.css";
import "./styles/accounts.css";
import "./styles/keys.css";
import "./styles/log.css";
import "./styles/parties.css";
import "./styles/login.css";
import "./styles/operations.css";
import "./styles/media.css";
import { App } from "./app";
import { RouterProvider } from "./router";

const root = document.getElementById("console");
if (root === null) throw new Error("broken invariant: index.html has no #console");
render(
  <RouterProvider>
    <App />
  </RouterProvider>,
  root,
);
