// Commands that the console tells its reader to type. They stand together so that they stay true together.

export const enrolAgent = (customer: string, name: string): string => `angbu enrol agent --customer ${customer} --name ${name}`;

export const CUSTOMER_CONFIGURATION = '[[customer]]\nname = "demo"\ntolerance = "50 ms"';

export const UPSTREAM_CONFIGURATION = '[clock]\nupstreams = ["ntp.example.net"]';

export const verifyReport = (file: string, key: string): string => `angbu verify ${file} --key '${key}'`;

export const verifyWithPython = (file: string, key: string): string => `python3 verify.py ${file} '${key}'`;

export const readHead = (origin: string): string => `curl ${origin}/checkpoint`;

export const readTile = (origin: string, path: string): string => `curl -s ${origin}${path} | xxd -p -c 32`;

export const runWitness = (key: string): string => `angbu witness --name witness.example.net --log '${key}'`;

export const WITNESS_CONFIGURATION = '[[witness]]\nurl = "https://witness.example.net"\nkey = "witness.example.net+…"';

export const confirmLog = (size: number): string => `angbu evidence confirm --size ${size}`;

export const agentConfiguration = (centre: string, name: string, code: string): string =>
  `centre = "${centre}"\nname = "${name}"\ncode = "${code}"`;

export const START_AGENT = "angbu agent --config agent.toml";

/** What a joiner other than an agent calls, once it has read the secret out of its code. */
export const join = (centre: string, kind: "person" | "host" | "relying-party"): string =>
  `POST ${centre}/api/v1/enrolments/${kind}`;
