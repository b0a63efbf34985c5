// Commands that the console tells its reader to type. They stand together so that they stay true together.

export const enrolAgent = (customer: string, name: string): string => `angbu enrol agent --customer ${customer} --name ${name}`;

export const CUSTOMER_CONFIGURATION = '[[customer]]\nname = "demo"\ntolerance = "50 ms"';

export const UPSTREAM_CONFIGURATION = '[clock]\nupstreams = ["ntp.example.net"]';

export const verifyReport = (file: string, key: string): string => `angbu verify ${file} --key '${key}'`;

export const verifyWithPython = (file: string, key: string): string => `python3 verify.py ${file} '${key}'`;

export const readHead = (origin: string): string => `curl ${origin}/checkpoint`;
