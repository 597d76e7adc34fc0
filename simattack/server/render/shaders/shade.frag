// Ambient light that a body keeps from the ground below it; multiplied onto the coded colour.
in float v_alpha;
layout(location = 0) out vec4 out_color;
layout(location = 3) out vec4 out_light;

void main() {
    out_color = vec4(0.0, 0.0, 0.0, v_alpha * clearness(1.0 / gl_FragCoord.w));
    // Codes are about the square roots of light.
    float kept = 1.0 - out_color.a;
    out_light = vec4(0.0, 0.0, 0.0, 1.0 - kept * kept);
}
